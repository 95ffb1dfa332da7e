/** The AWS to deploy on: what answers at AWS_ENDPOINT_URL, or a MiniStack of our own. Knows nothing of what is deployed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../support/free-port.ts'
import { installMinistack } from './install-ministack.ts'
import { lambdaNodeFolder } from './lambda-node.ts'

export interface Emulator {
  /** For the report. */
  readonly title: string
  readonly endpoint: string
  /** Harmless when repeated. */
  stop(): Promise<void>
}

const START_SCRIPT = fileURLToPath(new URL('start.py', import.meta.url))
const ANSWER_DEADLINE_MS = 3000
/** It takes 0.3 s on a quiet machine. */
const START_DEADLINE_MS = 30_000
const PROBE_PAUSE_MS = 50
/** From SIGTERM to SIGKILL; it takes 2 s to stop. */
const STOP_GRACE_MS = 8000

export async function findEmulator(named = process.env.AWS_ENDPOINT_URL): Promise<Emulator> {
  if (named && (await answers(named))) return { title: named, endpoint: named, stop: async () => undefined }
  const own = await startMinistack()
  return named ? { ...own, title: `${own.title} (nothing answers at ${named})` } : own
}

async function startMinistack(): Promise<Emulator> {
  const [python, nodeFolder] = await Promise.all([installMinistack(), lambdaNodeFolder()])
  const folder = await mkdtemp(join(tmpdir(), 'postern-emulator-'))
  const port = await freePort()
  const child = spawn(python, [START_SCRIPT], {
    // Its Lambdas inherit its environment: nothing of ours belongs there.
    env: {
      PATH: [nodeFolder, process.env.PATH].join(delimiter),
      HOME: folder,
      TMPDIR: folder,
      S3_DATA_DIR: join(folder, 's3'),
      BIND_HOST: '127.0.0.1',
      GATEWAY_PORT: String(port),
      LOG_LEVEL: 'WARNING',
    },
    // It ends when its standard input does, and that is when this process is gone.
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const said: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => said.push(text))
  child.stdin.on('error', () => undefined)

  const endpoint = `http://127.0.0.1:${port}`
  const stop = async (): Promise<void> => {
    await end(child)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await answering(endpoint, child)
    const version = await versionOf(endpoint)
    return { title: `MiniStack ${version}, ours`, endpoint, stop }
  } catch (cause) {
    await stop()
    throw new Error(`MiniStack does not start:\n${said.join('')}`, { cause })
  }
}

async function answering(endpoint: string, child: ChildProcess): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS
  while (!(await answers(endpoint))) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended')
    if (performance.now() > deadline) throw new Error(`no answer in ${START_DEADLINE_MS} ms`)
    await wait(PROBE_PAUSE_MS)
  }
}

async function answers(endpoint: string): Promise<boolean> {
  try {
    await (await fetch(endpoint, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) })).arrayBuffer()
    return true
  } catch {
    return false
  }
}

async function versionOf(endpoint: string): Promise<string> {
  const answer = await fetch(`${endpoint}/_ministack/health`, { signal: AbortSignal.timeout(ANSWER_DEADLINE_MS) })
  const { version } = (await answer.json()) as { version?: string }
  return version ?? 'of unknown version'
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS)
  await gone
  clearTimeout(timer)
}
