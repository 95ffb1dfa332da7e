/** The calls this project makes to its table: one item at a time, or one partition in order. Knows nothing of what the items mean. */
import {
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandOutput,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb'
import type * as z from 'zod/mini'
import { TunnelFault } from '../fault.ts'
import { type Attributes, marshal, unmarshal } from './attributes.ts'
import type { DynamoClient } from './dynamo-client.ts'
import type { Page, PageCall } from './stores.ts'

export type Key = { pk: string; sk: string }
export type Plain = Record<string, unknown>

/** An expression names attributes as `#attribute`, so that none can be a reserved word, and values as `:value`. */
export interface Condition {
  clause: string
  values?: Attributes
}

/** What a conditional write did. `before` is the item it replaced, changed or deleted. */
type Written = { kind: 'done'; before: Plain | undefined } | { kind: 'refused' }

export interface Table {
  /** Strongly consistent unless told otherwise. */
  get(key: Key, options?: { consistent: boolean }): Promise<Plain | undefined>
  put(item: Key & Attributes, condition?: Condition): Promise<Written>
  /** `paths` are further names, for parts of a map whose names come from outside. */
  update(
    key: Key,
    update: { expression: string; condition?: Condition; values: Attributes; paths?: Record<string, string> },
  ): Promise<Written>
  /** Never repeated by the SDK, so that an attempt cannot meet its own deletion. */
  remove(key: Key, condition: Condition): Promise<Written>
  /** All items of a partition whose sort key is greater than `after`, in order. */
  list(pk: string, options?: { after?: string; consistent?: boolean }): Promise<Plain[]>
  /**
   * The items of a partition whose sort keys begin with `prefix`, in order, from behind `after` on; strongly consistent.
   * `after` and `next` are sort keys without the prefix, so that a place from outside cannot lead out of the list.
   */
  page(pk: string, call: PageCall & { prefix?: string }): Promise<Page<Plain>>
}

/**
 * The table of that name behind `client`. Whatever DynamoDB refuses for another reason than the condition is a
 * TunnelFault: `store-unavailable`, or `internal-error` if the call itself was wrong.
 */
export function openTable(tableName: string, client: DynamoClient): Table {
  const { patient, once } = client

  return {
    async get(key, { consistent } = { consistent: true }) {
      const answer = await call(() =>
        patient.send(new GetItemCommand({ TableName: tableName, Key: marshal(key), ConsistentRead: consistent })),
      )
      return answer.Item && unmarshal(answer.Item)
    },

    put: (item, condition) =>
      write(() =>
        patient.send(
          new PutItemCommand({
            TableName: tableName,
            Item: marshal(item),
            ReturnValues: 'ALL_OLD',
            ...(condition && {
              ConditionExpression: condition.clause,
              ...placeholders(condition.clause, condition.values),
            }),
          }),
        ),
      ),

    update: (key, { expression, condition, values, paths }) =>
      write(() =>
        patient.send(
          new UpdateItemCommand({
            TableName: tableName,
            Key: marshal(key),
            UpdateExpression: expression,
            ...(condition && { ConditionExpression: condition.clause }),
            ReturnValues: 'ALL_OLD',
            ...placeholders(`${expression} ${condition?.clause ?? ''}`, { ...values, ...condition?.values }, paths),
          }),
        ),
      ),

    remove: (key, { clause, values }) =>
      write(() =>
        once.send(
          new DeleteItemCommand({
            TableName: tableName,
            Key: marshal(key),
            ConditionExpression: clause,
            ReturnValues: 'ALL_OLD',
            ...placeholders(clause, values),
          }),
        ),
      ),

    async list(pk, { after = '', consistent = false } = {}) {
      const items: Plain[] = []
      // A sort key is never empty, so '' is before the first one, but DynamoDB takes no empty key to compare with.
      const clause = after === '' ? '#pk = :pk' : '#pk = :pk AND #sk > :after'
      const values = after === '' ? { pk } : { pk, after }
      let start: QueryCommandOutput['LastEvaluatedKey']
      do {
        const answer = await call(() =>
          patient.send(
            new QueryCommand({
              TableName: tableName,
              KeyConditionExpression: clause,
              ConsistentRead: consistent,
              ExclusiveStartKey: start,
              ...placeholders(clause, values),
            }),
          ),
        )
        for (const item of answer.Items ?? []) items.push(unmarshal(item))
        start = answer.LastEvaluatedKey
      } while (start !== undefined)
      return items
    },

    async page(pk, { prefix = '', after = '', limit }) {
      const clause = prefix === '' ? '#pk = :pk' : '#pk = :pk AND begins_with(#sk, :prefix)'
      const { Items: found = [], LastEvaluatedKey: stopped } = await call(() =>
        patient.send(
          new QueryCommand({
            TableName: tableName,
            KeyConditionExpression: clause,
            ConsistentRead: true,
            // One more than asked for tells whether there is a next page: the table itself only says where it stopped.
            Limit: limit + 1,
            ...(after !== '' && { ExclusiveStartKey: marshal({ pk, sk: `${prefix}${after}` }) }),
            ...placeholders(clause, prefix === '' ? { pk } : { pk, prefix }),
          }),
        ),
      )
      const items = found.slice(0, limit).map(unmarshal)
      const last = items.at(-1)?.sk
      const more = found.length > limit || stopped !== undefined
      return { items, ...(more && typeof last === 'string' && { next: last.slice(prefix.length) }) }
    },
  }
}

/** An item as what it must be. Throws `internal-error` naming the fields, never their values: they may be secret. */
export function readAs<T>(schema: z.ZodMiniType<T>, item: Plain): T {
  const read = schema.safeParse(item)
  if (read.success) return read.data
  const fields = read.error.issues.map((issue) => issue.path.join('.')).join(', ')
  throw new TunnelFault('internal-error', `An item of the table cannot be read: ${fields}.`)
}

/** The items that can be read. A node that was taken over may have written anything into a list: that hides nothing else of it. */
export function readable<T>(schema: z.ZodMiniType<T>, items: readonly Plain[]): T[] {
  return items.flatMap((item) => {
    const read = schema.safeParse(item)
    return read.success ? [read.data] : []
  })
}

/** A sort key for lists in the order of time; `id` keeps two of one millisecond apart. */
export const timeKey = (time: number, id: string): string => `${String(time).padStart(15, '0')}#${id}`

/** Seconds since 1970, as DynamoDB's TTL wants them, of a time in milliseconds. */
export const purgeAt = (time: number): number => Math.ceil(time / 1000)

function placeholders(expression: string, values: Attributes = {}, paths: Record<string, string> = {}) {
  const names: Record<string, string> = { ...paths }
  for (const [placeholder, name = ''] of expression.matchAll(/#(\w+)/g)) names[placeholder] ??= name
  const marshalled = Object.entries(marshal(values)).map(([name, value]) => [`:${name}`, value] as const)
  return {
    ExpressionAttributeNames: names,
    ...(marshalled.length > 0 && { ExpressionAttributeValues: Object.fromEntries(marshalled) }),
  }
}

async function write(
  send: () => Promise<{ Attributes?: Parameters<typeof unmarshal>[0] | undefined }>,
): Promise<Written> {
  try {
    const { Attributes: before } = await send()
    return { kind: 'done', before: before && unmarshal(before) }
  } catch (error) {
    if (nameOf(error) === 'ConditionalCheckFailedException') return { kind: 'refused' }
    throw storeFault(error)
  }
}

async function call<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    throw storeFault(error)
  }
}

function storeFault(cause: unknown): TunnelFault {
  const name = nameOf(cause)
  const code = name === 'ValidationException' ? 'internal-error' : 'store-unavailable'
  return new TunnelFault(code, `${name}.`, { cause })
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : String(error))
