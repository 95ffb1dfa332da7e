/** JavaScript values as DynamoDB attributes and back: the five kinds this table uses, and no other. */
import type { AttributeValue } from '@aws-sdk/client-dynamodb'

/** S, N, BOOL, SS and a map of numbers. */
type Attribute = string | number | boolean | ReadonlySet<string> | Readonly<Record<string, number>>
/** Undefined ones are left out, and so are empty sets, which DynamoDB does not have: an absent set is an empty one. */
export type Attributes = Readonly<Record<string, Attribute | undefined>>
type Item = Record<string, AttributeValue>

export function marshal(attributes: Attributes): Item {
  const item: Item = {}
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && !isEmptySet(value)) item[name] = marshalOne(value)
  }
  return item
}

const isEmptySet = (value: Attribute): boolean => value instanceof Set && value.size === 0

function marshalOne(value: Attribute): AttributeValue {
  if (typeof value === 'string') return { S: value }
  if (typeof value === 'number') return { N: String(value) }
  if (typeof value === 'boolean') return { BOOL: value }
  if (value instanceof Set) return { SS: [...value] }
  return { M: marshal(value as Readonly<Record<string, number>>) }
}

/** The plain form of an item, not yet validated. An attribute of another kind stays as it is, and its schema refuses it. */
export function unmarshal(item: Item): Record<string, unknown> {
  return Object.fromEntries(Object.entries(item).map(([name, value]) => [name, unmarshalOne(value)]))
}

function unmarshalOne(value: AttributeValue): unknown {
  if (value.S !== undefined) return value.S
  if (value.N !== undefined) return Number(value.N)
  if (value.BOOL !== undefined) return value.BOOL
  if (value.SS !== undefined) return new Set(value.SS)
  if (value.M !== undefined) return unmarshal(value.M)
  return value
}
