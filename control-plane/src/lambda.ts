/** The control plane behind API Gateway: reads the environment, and serves the app one event at a time. */
import { randomBytes } from 'node:crypto'
import { createDynamoClient, openStore, readSecret } from '@postern/protocol/store'
import { type DeploymentKeys, parseDeploymentKeys } from '@postern/protocol/ticket'
import { createApp } from './app.ts'
import { parseConfig, type SecretPlace } from './config.ts'
import { type HttpApiResult, parseEvent, toRequest, toResult } from './http-api-event.ts'
import { errorLine, jsonLog } from './log.ts'
import { embeddedMetrics } from './metrics.ts'
import { Grants } from './tickets/grants.ts'

const { tableName, settings, channelKeys, grantKeys } = parseConfig(process.env)
const now = Date.now
const log = jsonLog(process.stdout, now)
const stores = openStore({ tableName, client: createDynamoClient() })
const [keys, grants] = await Promise.all([keysOf(channelKeys), readyGrants()])

const app = createApp({
  stores,
  keys,
  grants,
  settings,
  now,
  random: randomBytes,
  sourceIp: (c) => c.env.sourceIp,
  requestId: (c) => c.env.requestId,
  log,
  measure: embeddedMetrics(process.stdout, now),
})

export async function handler(payload: unknown): Promise<HttpApiResult> {
  const event = parseEvent(payload)
  const { requestId, http } = event.requestContext
  return toResult(await app.fetch(toRequest(event), { requestId, sourceIp: http.sourceIp }))
}

async function keysOf(place: SecretPlace): Promise<DeploymentKeys> {
  return parseDeploymentKeys('arn' in place ? await readSecret(place.arn) : place.text)
}

/** Resolving credentials, DNS and TLS belong to the start, which has a whole processor, and not to the first caller: the keys are published here, or else by the first ticket. */
async function readyGrants(): Promise<Grants> {
  const grants = new Grants({ keys: await keysOf(grantKeys), stores, now })
  const start = performance.now()
  try {
    await grants.published()
    const ms = Math.round((performance.now() - start) * 10) / 10
    log({ level: 'info', message: 'the table answers', requestId: '', ms })
  } catch (error) {
    log({ level: 'warn', message: 'the table did not answer at start', requestId: '', error: errorLine(error) })
  }
  return grants
}
