/** Builds a suite from a server and a visitor in Python; the visitor prints its checks. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../support/run-command.ts'
import { debianPackages, pythonPackages, suitePython } from './install.ts'
import { outcomesOf } from './programs.ts'
import { startServer } from './server-process.ts'
import type { Suite } from './suite.ts'

const CLIENT_DEADLINE_MS = 300_000

/** Folder of the Python files. */
export const PYTHON_FILES = fileURLToPath(new URL('python', import.meta.url))

export interface PythonPrograms extends Pick<Suite, 'name' | 'checks' | 'base' | 'https'> {
  /** Arguments of the interpreter, such as `-m flask run`. @param folder empty, this run's own, and the server's working folder */
  readonly server: (folder: string) => readonly string[]
  readonly serverEnv?: (folder: string) => Readonly<Record<string, string>>
  /** Name of a file among the Python files. Its arguments: address, `direct` or `tunnel`, folder. */
  readonly client: string
}

export const pythonSuite = (programs: PythonPrograms): Suite => ({
  name: programs.name,
  checks: programs.checks,
  ...(programs.base !== undefined && { base: programs.base }),
  ...(programs.https !== undefined && { https: programs.https }),
  install: async () =>
    (programs.https ? await debianPackages(['openssl'], ['openssl']) : undefined) ?? pythonPackages(),
  async run(way, folder) {
    const python = await suitePython()
    const env = pythonEnv(programs.serverEnv?.(folder))
    const server = await startServer(python, programs.server(folder), { cwd: folder, env })
    try {
      const url = await way.reach(server.port)
      const certificate = join(folder, 'certificate.pem')
      if (way.certificate !== undefined) await writeFile(certificate, way.certificate)
      const { stdout } = await runCommand(python, [join(PYTHON_FILES, programs.client), url, way.name, folder], {
        cwd: folder,
        env: pythonEnv(way.certificate === undefined ? {} : { REQUESTS_CA_BUNDLE: certificate }),
        deadlineMs: CLIENT_DEADLINE_MS,
      })
      return outcomesOf(stdout)
    } finally {
      await server.stop()
    }
  },
})

/** Environment of the suites' Python programs: their module path, unbuffered output, no proxy. */
export const pythonEnv = (further: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv => ({
  ...process.env,
  PYTHONPATH: PYTHON_FILES,
  PYTHONUNBUFFERED: '1',
  PYTHONDONTWRITEBYTECODE: '1',
  no_proxy: '*',
  NO_PROXY: '*',
  ...further,
})
