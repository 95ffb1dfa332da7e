/** MiniStack in a virtual environment of its own, below node_modules. Knows nothing of how it is run. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand, tryCommand } from '../../support/run-command.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url))
const INSTEAD = 'Or set AWS_ENDPOINT_URL to an emulator that runs (MiniStack, LocalStack).'
/** pip takes 5 s where the registry is near. */
const INSTALL_DEADLINE_MS = 120_000
const QUESTION_DEADLINE_MS = 20_000

/**
 * Installs what requirements.txt names, unless that is done.
 * @returns the interpreter to run it with
 * @throws Error that says what is missing on this machine
 */
export async function installMinistack(): Promise<string> {
  const { name, version } = await findPython()
  const wanted = createHash('sha256')
    .update(await readFile(REQUIREMENTS))
    .update(version)
    .digest('hex')
    .slice(0, 12)
  const folder = join(ROOT, 'node_modules', '.cache', 'postern', `ministack-${wanted}`)
  const python = join(folder, 'bin', 'python')
  // Written last: a folder without it is half of an installation.
  const complete = join(folder, 'complete')
  if (existsSync(complete)) return python
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await runCommand(name, ['-m', 'venv', folder], { deadlineMs: INSTALL_DEADLINE_MS })
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check', '-r', REQUIREMENTS]
  await runCommand(python, pip, { deadlineMs: INSTALL_DEADLINE_MS })
  await writeFile(complete, '')
  return python
}

async function findPython(): Promise<{ name: string; version: string }> {
  const name = 'python3'
  const ask = (code: string) => tryCommand(name, ['-c', code], { deadlineMs: QUESTION_DEADLINE_MS })
  const told = await ask('import platform; print(platform.python_version())').catch((cause: unknown) => {
    throw new Error(`There is no python3 on the PATH: MiniStack needs Python 3.10 or later. ${INSTEAD}`, { cause })
  })
  const version = told.stdout.trim()
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major < 3 || (major === 3 && minor < 10))
    throw new Error(`python3 is ${version || told.output.trim()}: MiniStack needs Python 3.10 or later. ${INSTEAD}`)
  const { code } = await ask('import venv, ensurepip')
  if (code !== 0)
    throw new Error(
      `python3 ${version} has no venv with pip: install it (Debian and Ubuntu: apt-get install python3-venv). ${INSTEAD}`,
    )
  return { name, version }
}
