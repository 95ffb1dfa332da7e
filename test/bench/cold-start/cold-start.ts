/** How long a new process of the Lambda takes until it can answer, and what takes what. Knows nothing of requests. */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { startEmbeddedTable } from '@postern/local/embedded-table'
import { ENV } from '@postern/protocol/environment'
import { newDeploymentSecret } from '@postern/protocol/ticket'
import type { BuildOptions } from 'esbuild'
import { bundleParts, OURS } from './bundle-parts.ts'

const RUNTIME = fileURLToPath(new URL('import-once.mjs', import.meta.url))

export interface ColdStart {
  /** Bytes of the bundle that is deployed. */
  readonly bytes: number
  /** Milliseconds, one for each process. The import includes the first call of the table, which it waits for. */
  readonly imports: readonly number[]
  readonly tableCalls: readonly number[]
  /** Of the module without that call. */
  readonly evaluations: readonly number[]
  /** An import of nothing, which is in all of these and in none of the parts. */
  readonly nothing: readonly number[]
  readonly parts: readonly Part[]
}

interface Part {
  readonly name: string
  /** Of the bundle. */
  readonly bytes: number
  /** Milliseconds, imported alone; none of our own code, which needs all the others. */
  readonly evaluations: readonly number[]
}

/**
 * Starts `processes` of each kind, one after another and in turn.
 * @param root the checkout whose built bundle is measured
 * @throws Error if the bundle was not built, or cannot reach its table
 */
export async function measureColdStart(root: string, processes: number): Promise<ColdStart> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-cold-start-'))
  const table = await startEmbeddedTable()
  try {
    const lambda = join(root, 'control-plane/dist/lambda.js')
    const { LAMBDA_BUNDLE } = await import(pathToFileURL(join(root, 'control-plane/bundle.mjs')).href)
    const { bytes, alone } = await bundleParts(root, LAMBDA_BUNDLE satisfies BuildOptions)
    const groups = new Map([...alone.keys()].map((name, n) => [name, join(folder, `${n}.mjs`)]))
    for (const [name, path] of groups) await writeFile(path, alone.get(name)!)
    const empty = join(folder, 'nothing.mjs')
    await writeFile(empty, 'export {}')

    const environment = environmentOf(table)
    const rounds: { ms: number; tableMs: number; nothing: number; own: Map<string, number> }[] = []
    for (let n = 0; n < processes; n++) {
      const { ms, tableMs = Number.NaN } = await importOnce(lambda, environment)
      if (Number.isNaN(tableMs)) throw new Error('the Lambda did not say how long its table took')
      const nothing = (await importOnce(empty, environment)).ms
      const own = new Map<string, number>()
      for (const [name, path] of groups) own.set(name, (await importOnce(path, environment)).ms - nothing)
      rounds.push({ ms, tableMs, nothing, own })
    }
    return {
      bytes: (await stat(lambda)).size,
      imports: rounds.map(({ ms }) => ms),
      tableCalls: rounds.map(({ tableMs }) => tableMs),
      evaluations: rounds.map(({ ms, tableMs }) => ms - tableMs),
      nothing: rounds.map(({ nothing }) => nothing),
      parts: [...groups.keys(), OURS].map((name) => ({
        name,
        bytes: bytes.get(name) ?? 0,
        evaluations: name === OURS ? [] : rounds.map(({ own }) => own.get(name)!),
      })),
    }
  } finally {
    await table.stop()
    await rm(folder, { recursive: true })
  }
}

const environmentOf = ({ endpoint, tableName }: { endpoint: string; tableName: string }) => ({
  [ENV.table]: tableName,
  [ENV.base]: 'example.com',
  [ENV.publicUrl]: 'https://{subdomain}.example.com',
  [ENV.channelHost]: 'channel.example.com',
  [ENV.channelPort]: '7000',
  [ENV.channelSecret]: newDeploymentSecret(randomBytes),
  [ENV.grantSecret]: newDeploymentSecret(randomBytes),
  AWS_ENDPOINT_URL: endpoint,
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'bench',
  AWS_SECRET_ACCESS_KEY: 'bench',
  // Its notice is printed at the first use of a client; Lambda runs a Node that it does not speak of.
  AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
})

/** A process of its own, with nothing of this one's environment. `tableMs` is what the module itself says of its first call. */
async function importOnce(path: string, env: NodeJS.ProcessEnv): Promise<{ ms: number; tableMs: number | undefined }> {
  const child = fork(RUNTIME, [path], { env, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  const output = Promise.all([child.stdout, child.stderr].map((stream) => text(stream as Readable)))
  const ms = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('message', (message) => resolve((message as { ms: number }).ms))
    child.once('exit', (code) => reject(new Error(`${path} ended with ${code}`)))
  }).catch(async (cause: unknown) => {
    throw new Error(`not imported: ${(await output).join('').slice(0, 500)}`, { cause })
  })
  child.kill()
  const [printed = ''] = await output
  const line = printed.split('\n').find((each) => each.includes('"the table answers"'))
  return { ms, tableMs: line === undefined ? undefined : Number(JSON.parse(line).ms) }
}
