/** Where the store's contract is proven: every place that claims to be DynamoDB runs the same suite. */
import { randomBytes } from 'node:crypto'
import { startEmbeddedTable } from '@postern/local/embedded-table'
import { createDynamoClient, createTable, type DynamoClient } from '@postern/protocol/store'
import { unhurriedClient } from '../../support/unhurried-client.ts'

export interface OpenPlace {
  client: DynamoClient
  tableName: string
  close(): Promise<void>
}

export interface Place {
  title: string
  /** Why it is not run here, if it is not. */
  skipped?: string
  open(): Promise<OpenPlace>
}

const freshName = (): string => `postern-contract-${randomBytes(4).toString('hex')}`

const embedded: Place = {
  title: 'the embedded table',
  async open() {
    const tableName = freshName()
    const table = await startEmbeddedTable({ tableName })
    const client = unhurriedClient(table.endpoint)
    return {
      client,
      tableName,
      async close() {
        client.destroy()
        await table.stop()
      },
    }
  },
}

/** DynamoDB Local, an emulator or DynamoDB itself; region and credentials come from the environment too. */
export const NAMED_PLACE: Place = {
  title: 'what AWS_ENDPOINT_URL names',
  ...(!process.env.AWS_ENDPOINT_URL && { skipped: 'AWS_ENDPOINT_URL is not set' }),
  async open() {
    const tableName = freshName()
    const client = createDynamoClient({ region: process.env.AWS_REGION ?? 'us-east-1' })
    await createTable({ tableName, client })
    return {
      client,
      tableName,
      async close() {
        const { DeleteTableCommand } = await import('@aws-sdk/client-dynamodb')
        await client.patient.send(new DeleteTableCommand({ TableName: tableName }))
        client.destroy()
      },
    }
  },
}

export const PLACES: readonly Place[] = [embedded, NAMED_PLACE]
