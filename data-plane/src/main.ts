/** The process of a data-plane task: reads the environment, owns the signals and the exit. */
import { totalmem } from 'node:os'
// Imported, because the global one is looked up, and made by a getter, at every call.
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { TunnelFault } from '@postern/protocol/fault'
import { CLOSE_GRACE_MS, LINE_BUFFER_BYTES } from '@postern/protocol/limits'
import { createDynamoClient, openStore } from '@postern/protocol/store'
import { parseDeploymentKeys } from '@postern/protocol/ticket'
import pino from 'pino'
import { readConfig } from './config.ts'
import { LineWriter } from './ops/line-writer.ts'
import { standardOutput } from './ops/standard-output.ts'
import { startDataPlane } from './service.ts'

/**
 * Of what a request makes next to nothing outlives it, and a task has a core or a part of one: threads that share so small a collection of
 * young garbage cost more than they save, 4 % of all that a small request costs (docs/benchmarks.md).
 */
setFlagsFromString('--no-parallel-scavenge')

/** The container's limit, where there is one (cgroups of either version), otherwise the machine's memory. */
function memoryLimit(): number {
  const limit = process.constrainedMemory()
  // 0, or more than there is: no limit.
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem()
}

async function main(): Promise<void> {
  const config = await readConfig(process.env)
  const log = pino({ level: config.logLevel, base: { task: config.taskId } }, pino.destination(2))
  // All that goes to standard output goes this way, or one line would be written into the middle of another.
  const output = new LineWriter({ outlet: standardOutput() })
  const client = createDynamoClient()
  const plane = await startDataPlane(config, {
    stores: openStore({ tableName: config.table, client }),
    keys: parseDeploymentKeys(config.channelSecret),
    hopKeys: config.hopSecret === undefined ? undefined : parseDeploymentKeys(config.hopSecret),
    log,
    clock: Date.now,
    now: () => performance.now(),
    memoryLimit: memoryLimit(),
    // A minute of metrics has room where a moment of requests has none any more.
    metrics: config.metrics === 'emf' ? (line) => output.add(line.trimEnd(), 2 * LINE_BUFFER_BYTES) : undefined,
    lines: output,
  })
  const { redirect, peer, ...ports } = plane.ports
  const listening = {
    public: { port: ports.public },
    ...(redirect !== undefined && { redirect: { port: redirect } }),
    channel: { port: ports.channel },
    ...(peer !== undefined && { peer: { port: peer } }),
    ops: { port: ports.ops },
  }
  output.add(`${JSON.stringify({ event: 'listening', task: config.taskId, ...listening })}`)
  output.flush()

  const stop = async (why: string, graceMs?: number, exit = 0): Promise<void> => {
    log.info({ why }, 'stopping')
    await plane.stop(graceMs)
    client.destroy()
    // Whoever reads it may have gone, or stand still; the process need not.
    await output.end(CLOSE_GRACE_MS)
    log.info('stopped')
    process.exit(exit)
  }
  // Whatever it would still serve may be served by its namesake.
  void plane.fenced.then((fault) => {
    log.error({ err: fault }, 'fenced')
    return stop('fenced', 0, fault.exit)
  })
  process.on('SIGTERM', () => void stop('SIGTERM'))
  process.on('SIGINT', () => void stop('SIGINT'))
  // Started by a parent over IPC (the local system): without the parent the table is gone too.
  process.on('disconnect', () => void stop('parent gone', CLOSE_GRACE_MS))
}

main().catch((error: unknown) => {
  const fault = error instanceof TunnelFault ? error : undefined
  process.stderr.write(`${fault ? `${fault.code}: ${fault.message} ${fault.advice}` : String(error)}\n`)
  process.exit(fault?.exit ?? 1)
})
