/** One run of somebody else's program with a deadline, its output kept. Knows nothing of what it runs. */
import { spawn } from 'node:child_process'

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  /** After so many milliseconds it is ended, and has failed. */
  readonly deadlineMs: number
}

export interface CommandResult {
  readonly code: number | null
  readonly stdout: string
  /** Standard output and standard error in the order they came. */
  readonly output: string
}

/** @throws Error if it cannot be started or is not done in time; any exit code is an answer */
export function tryCommand(
  command: string,
  args: readonly string[],
  { deadlineMs, ...options }: CommandOptions,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let output = ''
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, deadlineMs)
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      output += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.once('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('close', (code) => {
      clearTimeout(timer)
      if (late) reject(new Error(`${shown(command, args)}: not done in ${deadlineMs} ms\n${output}`))
      else resolve({ code, stdout, output })
    })
  })
}

/** @throws Error with all it said if its exit code is not 0 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
): Promise<CommandResult> {
  const result = await tryCommand(command, args, options)
  if (result.code !== 0) throw new Error(`${shown(command, args)}: exit code ${result.code}\n${result.output}`)
  return result
}

const shown = (command: string, args: readonly string[]): string => [command, ...args].join(' ')
