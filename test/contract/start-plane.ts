/** A data plane in this process, on the table of a deployment under test. */
import { randomBytes } from 'node:crypto'
import { type DataPlane, startDataPlane } from '@postern/data-plane'
import { ENV } from '@postern/protocol/environment'
import { type DynamoClient, openStore } from '@postern/protocol/store'
import pino from 'pino'
import { readConfig } from '../../data-plane/src/config.ts'
import type { Deployment } from './control-plane/deployment.ts'

/** Its calls to the table are made by `client`. */
export async function startPlane(deployment: Deployment, client: DynamoClient): Promise<DataPlane> {
  const { tableName, keys, at } = deployment
  const config = await readConfig({
    [ENV.table]: tableName,
    [ENV.base]: 'example.com',
    [ENV.publicUrl]: 'https://{subdomain}.example.com',
    [ENV.publicHosts]: '127.0.0.1',
    ...{ [ENV.publicPort]: '0', [ENV.channelPort]: '0', [ENV.opsPort]: '0' },
    [ENV.proxyProtocol]: 'off',
    [ENV.channelSecret]: JSON.stringify({ current: 'ab'.repeat(32), accepted: [] }),
    [ENV.taskId]: randomBytes(8).toString('hex'),
  })
  return await startDataPlane(config, {
    stores: openStore({ tableName, client }),
    keys,
    hopKeys: undefined,
    log: pino({ level: 'silent' }),
    clock: () => at.now,
    now: () => performance.now(),
    memoryLimit: 512 * 1024 * 1024,
    metrics: undefined,
    lines: { begin: () => undefined, flush: () => {}, dropped: 0 },
  })
}
