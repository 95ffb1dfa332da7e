/** A Next.js dev server of a new site in the folder it is given, started as a developer does. Prints its port. Knows nothing of who asks. Arguments: folder, Chromium (not used), domain. */
import { spawn } from 'node:child_process'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { writeSite } from './site.mjs'

const [root, , domain] = process.argv.slice(2)
const packages = fileURLToPath(new URL('node_modules', import.meta.url))
await writeSite(root, domain)
await symlink(packages, join(root, 'node_modules'))
const next = spawn(
  process.execPath,
  [join(packages, 'next/dist/bin/next'), 'dev', '--hostname', '127.0.0.1', '--port', '0'],
  { cwd: root, env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1' }, stdio: ['ignore', 'pipe', 'inherit'] },
)
process.on('SIGTERM', () => next.kill())
next.on('exit', (code) => process.exit(code ?? 0))
for await (const line of createInterface(next.stdout)) {
  const port = /Local:\s+http:\/\/[^:]+:(\d+)/.exec(line)?.[1]
  if (port !== undefined) console.log(port)
}
