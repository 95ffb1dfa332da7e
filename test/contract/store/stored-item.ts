/** An item as it lies in the table, for what no store tells: when it is purged, which attributes it has not. */
import { DeleteItemCommand, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb'
import type { OpenPlace } from './place.ts'

export async function storedItem({ client, tableName }: OpenPlace, pk: string, sk: string) {
  const Key = { pk: { S: pk }, sk: { S: sk } }
  const { Item } = await client.patient.send(new GetItemCommand({ TableName: tableName, Key, ConsistentRead: true }))
  return Item
}

/** Seconds since 1970. */
export async function purgeAtOf(place: OpenPlace, pk: string, sk: string): Promise<number | undefined> {
  const purgeAt = (await storedItem(place, pk, sk))?.purgeAt?.N
  return purgeAt === undefined ? undefined : Number(purgeAt)
}

/** As the table does by itself, some time after `purgeAt`. */
export async function purge({ client, tableName }: OpenPlace, pk: string, sk: string): Promise<void> {
  const Key = { pk: { S: pk }, sk: { S: sk } }
  await client.patient.send(new DeleteItemCommand({ TableName: tableName, Key }))
}

/** Puts an item as another version might. */
export async function putItem({ client, tableName }: OpenPlace, item: Record<string, string>): Promise<void> {
  const attributes = Object.fromEntries(Object.entries(item).map(([name, value]) => [name, { S: value }]))
  await client.patient.send(new PutItemCommand({ TableName: tableName, Item: attributes }))
}
