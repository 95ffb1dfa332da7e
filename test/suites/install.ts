/** Gets other people's software: Debian's packages where this is Debian and we are root, npm's by a lock file, PyPI's by pinned versions. Knows nothing of what it is for. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { pythonEnvironment } from '../support/python-environment.ts'
import { type CommandResult, tryCommand } from '../support/run-command.ts'

const DEADLINE_MS = 300_000

/** For `node --require`: whoever asks for a name below localhost is told this machine. */
export const LOCALHOST_NAMES = fileURLToPath(new URL('localhost-names.cjs', import.meta.url))

/** Of the package libnss-wrapper, where Debian puts it by the names that GNU has for machines: programs that ask the C library for addresses read a file of ours. */
export const NAMES_LIBRARY = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/libnss_wrapper.so`

/** Servers of Debian stand where only root looks for commands. */
const PATH = [process.env.PATH, '/usr/sbin', '/usr/lib/git-core'].join(delimiter)

/** Absolute path of a command, or undefined. */
export const commandPath = (command: string): string | undefined =>
  PATH.split(delimiter)
    .map((folder) => join(folder, command))
    .find((file) => existsSync(file))

/**
 * Makes sure that these commands (or files, by absolute path) are there, from these packages of Debian.
 * @returns what is missing and what to do about it, or undefined
 */
export async function debianPackages(
  commands: readonly string[],
  packages: readonly string[],
): Promise<string | undefined> {
  const absent = (): string[] =>
    commands.filter((command) => (command.startsWith('/') ? !existsSync(command) : commandPath(command) === undefined))
  if (absent().length === 0) return undefined
  const byHand = `apt-get install ${packages.join(' ')}`
  const missing = (): string => `${absent().join(', ')} missing`
  if (commandPath('apt-get') === undefined) return `${missing()} (on Debian: ${byHand}), and there is no apt-get`
  if (process.getuid?.() !== 0) return `${missing()}; as root: ${byHand}`
  let said = await aptGet(['install', '-y', '-qq', '--no-install-recommends', ...packages])
  if (said.code !== 0) {
    // A machine that is new has no list of packages yet.
    await aptGet(['update', '-qq'])
    said = await aptGet(['install', '-y', '-qq', '--no-install-recommends', ...packages])
  }
  return absent().length === 0 ? undefined : `${missing()}; \`${byHand}\` said:\n${said.output}`
}

/** apt-get, which asks nothing. */
export const aptGet = (args: readonly string[], cwd?: string): Promise<CommandResult> =>
  tryCommand('apt-get', args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    deadlineMs: DEADLINE_MS,
    ...(cwd === undefined ? {} : { cwd }),
  })

/**
 * Installs the packages of `folder`'s lock file there, unless they are there already. No script of theirs is run.
 * @returns what went wrong, or undefined
 */
export async function npmPackages(folder: string): Promise<string | undefined> {
  const lock = await readFile(join(folder, 'package-lock.json'))
  const digest = createHash('sha256').update(lock).digest('hex')
  const mark = join(folder, 'node_modules', '.installed-lock')
  if (existsSync(mark) && (await readFile(mark, 'utf8')) === digest) return undefined
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
  const said = await tryCommand('npm', args, { cwd: folder, deadlineMs: DEADLINE_MS })
  if (said.code !== 0) return `\`npm ci\` in ${folder} said:\n${said.output}`
  await mkdir(join(folder, 'node_modules'), { recursive: true })
  await writeFile(mark, digest)
  return undefined
}

const PYTHON_REQUIREMENTS = fileURLToPath(new URL('python/requirements.txt', import.meta.url))

/** Interpreter of the suites in Python. @throws Error that says what is missing; `pythonPackages` finds that out first */
export const suitePython = (): Promise<string> => pythonEnvironment('suites', PYTHON_REQUIREMENTS)

/**
 * Installs the packages of the suites in Python in an environment of their own, unless they are there already.
 * @returns what is missing or went wrong, or undefined
 */
export async function pythonPackages(): Promise<string | undefined> {
  const missing = await debianPackages(['python3'], ['python3', 'python3-venv'])
  if (missing !== undefined) return missing
  // Debian's Python alone has no pip.
  const { code } = await tryCommand('python3', ['-c', 'import venv, ensurepip'], { deadlineMs: DEADLINE_MS })
  if (code !== 0 && commandPath('apt-get') !== undefined && process.getuid?.() === 0)
    await aptGet(['install', '-y', '-qq', '--no-install-recommends', 'python3-venv'])
  return suitePython().then(
    () => undefined,
    (error: Error) => error.message,
  )
}
