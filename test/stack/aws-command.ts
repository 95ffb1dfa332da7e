/** The AWS command line, against the emulator. */
import { runCommand } from '../support/run-command.ts'

/** 1 s on a quiet machine. */
const DEADLINE_MS = 60_000

/** @returns what the command prints, as JSON */
export type AwsCommand = (...args: string[]) => Promise<unknown>

export function awsCommand(env: Readonly<Record<string, string>>): AwsCommand {
  return async (...args) => {
    const { stdout } = await runCommand('aws', [...args, '--output', 'json'], { env, deadlineMs: DEADLINE_MS })
    return JSON.parse(stdout)
  }
}
