/** Makes the table where no deployment does it: on the embedded store, in tests, on an emulator. */
import { setTimeout as pause } from 'node:timers/promises'
import { CreateTableCommand, DescribeTableCommand } from '@aws-sdk/client-dynamodb'
import { TunnelFault } from '../fault.ts'
import type { DynamoClient } from './dynamo-client.ts'
import { TABLE } from './tables.ts'

/** DynamoDB takes some seconds to make a table; there is no event to wait for. */
const POLL_MS = 20
const GIVE_UP_AFTER_MS = 30_000

/**
 * Resolves when the table can be used; one that is there already is left as it is. Time to live is not switched on: the
 * embedded store has none, and nothing relies on it.
 * @throws TunnelFault `store-unavailable`
 */
export async function createTable({ tableName, client }: { tableName: string; client: DynamoClient }): Promise<void> {
  try {
    await client.patient.send(
      new CreateTableCommand({
        TableName: tableName,
        BillingMode: TABLE.billing,
        AttributeDefinitions: [
          { AttributeName: TABLE.partitionKey, AttributeType: 'S' },
          { AttributeName: TABLE.sortKey, AttributeType: 'S' },
        ],
        KeySchema: [
          { AttributeName: TABLE.partitionKey, KeyType: 'HASH' },
          { AttributeName: TABLE.sortKey, KeyType: 'RANGE' },
        ],
      }),
    )
  } catch (cause) {
    if (!(cause instanceof Error && cause.name === 'ResourceInUseException')) {
      throw new TunnelFault('store-unavailable', 'The table cannot be created.', { cause })
    }
  }
  const deadline = performance.now() + GIVE_UP_AFTER_MS
  while (!(await isActive(tableName, client))) {
    if (performance.now() > deadline) throw new TunnelFault('store-unavailable', 'The table does not become active.')
    await pause(POLL_MS)
  }
}

async function isActive(tableName: string, { patient }: DynamoClient): Promise<boolean> {
  const { Table: table } = await patient.send(new DescribeTableCommand({ TableName: tableName }))
  return table?.TableStatus === 'ACTIVE'
}
