/** Node of the major version that the Lambda is deployed for: the emulator runs it with the first `node` of its PATH. */
import { dirname } from 'node:path'
import { runCommand } from '../../support/run-command.ts'

const MAJOR = 24
/** It comes from the npm registry the first time: 40 MB. */
const DEADLINE_MS = 120_000

/** @returns the folder to put first in the PATH */
export async function lambdaNodeFolder(): Promise<string> {
  if (process.versions.node.startsWith(`${MAJOR}.`)) return dirname(process.execPath)
  const args = ['-y', '--prefer-offline', '-p', `node@${MAJOR}`, '-c', 'node -p process.execPath']
  const { stdout } = await runCommand('npx', args, { deadlineMs: DEADLINE_MS })
  return dirname(stdout.trim())
}
