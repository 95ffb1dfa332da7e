/** The control plane behind API Gateway: reads the environment, and serves the app one event at a time. */
import { randomBytes } from 'node:crypto'
import { createDynamoClient, openStore, readSecret } from '@postern/protocol/store'
import { parseDeploymentKeys } from '@postern/protocol/ticket'
import { createApp } from './app.ts'
import { parseConfig } from './config.ts'
import { type HttpApiResult, parseEvent, toRequest, toResult } from './http-api-event.ts'
import { errorLine, jsonLog } from './log.ts'
import { embeddedMetrics } from './metrics.ts'

const { tableName, settings, channelKeys } = parseConfig(process.env)
const now = Date.now
const log = jsonLog(process.stdout, now)
const stores = openStore({ tableName, client: createDynamoClient() })
const [keys] = await Promise.all([
  'arn' in channelKeys ? readSecret(channelKeys.arn).then(parseDeploymentKeys) : parseDeploymentKeys(channelKeys.text),
  callTable(),
])

const app = createApp({
  stores,
  keys,
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

/** Resolving credentials, DNS and TLS belong to the start, which has a whole processor, and not to the first caller. */
async function callTable(): Promise<void> {
  const start = performance.now()
  try {
    await stores.tokens.find('warm')
    const ms = Math.round((performance.now() - start) * 10) / 10
    log({ level: 'info', message: 'the table answers', requestId: '', ms })
  } catch (error) {
    log({ level: 'warn', message: 'the table did not answer at start', requestId: '', error: errorLine(error) })
  }
}
