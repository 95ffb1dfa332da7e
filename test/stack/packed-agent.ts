/** The agent as somebody has it who has installed it: the tarball that would be published, in a folder with nothing else. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod/mini'
import { runCommand } from '../support/run-command.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DEADLINE_MS = 120_000

const packedSchema = z.tuple([z.object({ filename: z.string() })])

/**
 * @param folder empty, and there
 * @returns the script that `npx tunnel-agent` would run there
 */
export async function installPackedAgent(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const options = { env, deadlineMs: DEADLINE_MS }
  const pack = ['pack', '-w', 'agent', '--json', '--pack-destination', folder]
  const { stdout } = await runCommand('npm', pack, { ...options, cwd: ROOT })
  const [{ filename }] = packedSchema.parse(JSON.parse(stdout))
  await writeFile(join(folder, 'package.json'), '{"name":"somebody","private":true,"type":"module"}\n')
  const install = ['install', '--no-fund', '--no-audit', '--prefer-offline', join(folder, filename)]
  await runCommand('npm', install, { ...options, cwd: folder })
  return join(folder, 'node_modules', '.bin', 'tunnel-agent')
}
