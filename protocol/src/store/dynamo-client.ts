/** Connections to DynamoDB with the time limits of this project. Knows nothing of the table. */
import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb'
import { STORE_CONNECT_TIMEOUT_MS, STORE_REQUEST_TIMEOUT_MS } from '../limits.ts'

/** Two clients: `patient` repeats a failed call, `once` never does. */
export interface DynamoClient {
  readonly patient: DynamoDBClient
  /** For writes of which a repetition could take its own first attempt for somebody else's. */
  readonly once: DynamoDBClient
  destroy(): void
}

export interface DynamoClientOptions {
  /** Set for an embedded or emulated table; without it the SDK's own order applies (`AWS_ENDPOINT_URL`, the region). */
  endpoint?: string | undefined
  region?: string | undefined
  /** For one attempt: to connect, and to be answered; milliseconds. */
  attempt?: { readonly connectMs: number; readonly requestMs: number }
}

const ATTEMPT = { connectMs: STORE_CONNECT_TIMEOUT_MS, requestMs: STORE_REQUEST_TIMEOUT_MS }

/** The embedded table checks no signature, but the SDK will not send a call without one. */
const EMBEDDED = { region: 'local', credentials: { accessKeyId: 'embedded', secretAccessKey: 'embedded' } }

/** A client for `openStore`. With `endpoint` and no region it speaks to the embedded table. */
export function createDynamoClient({ endpoint, region, attempt = ATTEMPT }: DynamoClientOptions = {}): DynamoClient {
  const config: DynamoDBClientConfig = {
    ...(endpoint !== undefined && { endpoint }),
    ...(endpoint !== undefined && region === undefined && EMBEDDED),
    ...(region !== undefined && { region }),
    requestHandler: {
      connectionTimeout: attempt.connectMs,
      requestTimeout: attempt.requestMs,
      // Without it the SDK only logs a warning and goes on waiting.
      throwOnRequestTimeout: true,
    },
    // The stack that a call passes is the same for each of its kind: made for every call, it is a twentieth of what the call costs.
    cacheMiddleware: true,
  }
  const patient = quiet(new DynamoDBClient({ ...config, maxAttempts: 3 }))
  const once = quiet(new DynamoDBClient({ ...config, maxAttempts: 1 }))
  return {
    patient,
    once,
    destroy() {
      patient.destroy()
      once.destroy()
    },
  }
}

/** Without the SDK's own log, which nobody reads here: it copies what goes out and comes back, less what is secret, whether it has anybody to tell or not. */
function quiet(client: DynamoDBClient): DynamoDBClient {
  client.middlewareStack.remove('loggerMiddleware')
  return client
}
