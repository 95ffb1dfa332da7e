/** Installs Python packages, of pinned versions, in a virtual environment of their own. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand, tryCommand } from './run-command.ts'

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/postern', import.meta.url))
const PYTHON = 'python3'
/** pip takes 5 to 30 s where the registry is near. */
const INSTALL_DEADLINE_MS = 300_000
const QUESTION_DEADLINE_MS = 20_000

/**
 * Installs what `requirements` (a file in pip's format) names, unless that is done.
 * @param name begins the folder's name
 * @param cache the folder that holds it
 * @returns the interpreter that sees these packages
 * @throws Error that says what is missing on this machine, or what pip printed
 */
export async function pythonEnvironment(name: string, requirements: string, cache = CACHE): Promise<string> {
  const version = await pythonVersion()
  const wanted = createHash('sha256')
    .update(await readFile(requirements))
    .update(version)
    .digest('hex')
    .slice(0, 12)
  const folder = join(cache, `${name}-${wanted}`)
  const python = join(folder, 'bin', 'python')
  // Written last: a folder without it is half of an installation.
  const complete = join(folder, 'complete')
  if (existsSync(complete)) return python
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await runCommand(PYTHON, ['-m', 'venv', folder], { deadlineMs: INSTALL_DEADLINE_MS })
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '-r', requirements]
  await runCommand(python, pip, { deadlineMs: INSTALL_DEADLINE_MS })
  await writeFile(complete, '')
  return python
}

async function pythonVersion(): Promise<string> {
  const ask = (code: string) => tryCommand(PYTHON, ['-c', code], { deadlineMs: QUESTION_DEADLINE_MS })
  const answered = await ask('import platform; print(platform.python_version())').catch((cause: unknown) => {
    throw new Error('there is no python3 on the PATH, and Python 3.10 or later is needed', { cause })
  })
  const version = answered.stdout.trim()
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 3 || (major === 3 && minor < 10))
    throw new Error(`python3 is ${version || answered.output.trim()}, and Python 3.10 or later is needed`)
  const { code } = await ask('import venv, ensurepip')
  if (code !== 0)
    throw new Error(
      `python3 ${version} has no venv with pip: install it (Debian and Ubuntu: apt-get install python3-venv)`,
    )
  return version
}
