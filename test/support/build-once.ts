/** Builds the bundles once before the system tests, which run them as processes. Knows nothing of the tests. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export default function buildOnce(): void {
  const script = fileURLToPath(new URL('../../local/build.mjs', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`the bundles cannot be built:\n${stderr}`)
}
