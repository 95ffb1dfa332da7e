/** A connection to an embedded table for tests of what it does, however long a busy machine takes for it. */
import { createDynamoClient, type DynamoClient } from '@postern/protocol/store'

const PATIENCE_MS = 60_000

export const unhurriedClient = (endpoint: string): DynamoClient =>
  createDynamoClient({ endpoint, attempt: { connectMs: PATIENCE_MS, requestMs: PATIENCE_MS } })
