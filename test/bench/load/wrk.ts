/** Drives small requests with wrk, where it is installed. Knows nothing of who answers. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installed } from '../installed.ts'
import type { LoadGenerator, LoadReport, LoadRequest } from './load.ts'

const SCRIPT = fileURLToPath(new URL('wrk-report.lua', import.meta.url))
const run = promisify(execFile)

/** Undefined where there is no wrk. */
export async function findWrk(): Promise<LoadGenerator | undefined> {
  const path = await installed('wrk')
  if (path === undefined) return undefined
  // wrk ends with status 1 when it is asked for its version.
  const banner: string = await run(path, ['-v']).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
  return { version: banner.split(' [')[0] ?? 'wrk', run: (request) => drive(path, request) }
}

async function drive(path: string, { target, connections, seconds }: LoadRequest): Promise<LoadReport> {
  const { stdout } = await run(path, [
    ...['--threads', '1', '--connections', String(connections), '--duration', `${seconds}s`],
    ...['--header', `Host: ${target.host}`, '--script', SCRIPT, `http://127.0.0.1:${target.port}/`],
  ])
  const line = stdout.split('\n').find((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`wrk reported nothing: ${stdout}`)
  return JSON.parse(line) as LoadReport
}
