/** Everything that stands in the table, as whoever could read all of it would see it. Knows nothing of what the items mean. */
import { DynamoDBClient, paginateScan } from '@aws-sdk/client-dynamodb'

/** One line of JSON for each item. */
export async function dumpTable({ endpoint, tableName }: { endpoint: string; tableName: string }): Promise<Buffer> {
  const credentials = { accessKeyId: 'embedded', secretAccessKey: 'embedded' }
  const client = new DynamoDBClient({ endpoint, region: 'local', credentials })
  const lines: string[] = []
  try {
    for await (const { Items = [] } of paginateScan({ client }, { TableName: tableName })) {
      for (const item of Items) lines.push(`${JSON.stringify(item)}\n`)
    }
  } finally {
    client.destroy()
  }
  return Buffer.from(lines.join(''))
}
