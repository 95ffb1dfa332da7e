/** A connection to a table for tests of what it does, however long it takes: with the attempts of the real one, without its time limits. */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb'
import type { DynamoClient } from '@postern/protocol/store'

const ANSWER_MS = 60_000

/** For an embedded table, which checks no signature. */
export function unhurriedClient(endpoint: string): DynamoClient {
  const config = {
    ...{ endpoint, region: 'local', credentials: { accessKeyId: 'embedded', secretAccessKey: 'embedded' } },
    requestHandler: { requestTimeout: ANSWER_MS, throwOnRequestTimeout: true },
  }
  const patient = new DynamoDBClient({ ...config, maxAttempts: 3 })
  const once = new DynamoDBClient({ ...config, maxAttempts: 1 })
  return {
    patient,
    once,
    destroy() {
      patient.destroy()
      once.destroy()
    },
  }
}
