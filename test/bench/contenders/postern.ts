/** One whole Postern from the built bundles of a checkout, this one or another. Knows nothing of what it is made of: `stand.ts` does. */
import { type ChildProcess, fork } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender, Subject, Target } from '../contender.ts'

/** What `stand.ts` says once everything is up. This is what two commits must agree on to be compared. */
export interface StandReport {
  readonly target: Target
  readonly processes: Readonly<Record<string, readonly number[]>>
}

const START_MS = 30_000

const SETTINGS =
  'built bundles; data plane and agent one process each, one channel (TLS 1.3-PSK), PROXY protocol off, log level info, access log to a file'

/** The same with a second data plane, by which the load comes in: the CPU of both counts. */
export const posternByHop = (name: string, root: string, version: string): Contender => ({
  ...postern(name, root, version, ['hop']),
  settings: `${SETTINGS}; two data planes, and the load comes in at the one without the channel`,
})

/** @param root folder of the checkout, built; @param version its commit */
export const postern = (name: string, root: string, version: string, more: readonly string[] = []): Contender => ({
  name,
  settings: SETTINGS,
  find: async () => {
    const built = ['data-plane/dist/main.js', 'agent/dist/main.js'].every((file) => existsSync(join(root, file)))
    return built ? { kind: 'found', version } : { kind: 'missing', remedy: 'npm run build' }
  },
  start: async (origin) => {
    const child = fork(join(root, 'test/bench/stand.ts'), [String(origin.port), ...more], {
      cwd: root,
      env: { ...process.env, AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true' },
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    const { target, processes } = await reported(child, name)
    const stop = async (): Promise<void> => {
      child.disconnect()
      await exited
    }
    return { target, processes: new Map(Object.entries(processes)), stop } satisfies Subject
  },
})

function reported(child: ChildProcess, name: string): Promise<StandReport> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => {
      child.kill()
      reject(new Error(`${name} did not come up within ${START_MS} ms`))
    }, START_MS)
    child.once('message', (message) => {
      clearTimeout(deadline)
      resolve(message as StandReport)
    })
    child.once('exit', (code) => {
      clearTimeout(deadline)
      reject(new Error(`${name} ended with ${code} before it was up`))
    })
  })
}
