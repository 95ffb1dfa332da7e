import { EVICTED_AT_ONCE, EVICTION_SEARCH_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { ReplaceableConnections } from './replaceable-connections.ts'

interface Connection {
  readonly addressKey: string
  idleSince: number | undefined
}

const since = ({ idleSince }: Connection) => idleSince

const connection = (addressKey: string, idleSince: number | undefined): Connection => ({ addressKey, idleSince })

/** In the order in which they end; each is gone then. */
function endAll(connections: Set<Connection>, count: number, addressKey?: string): (string | undefined)[] {
  const idle = new ReplaceableConnections(connections, since)
  return Array.from({ length: count }, () => {
    const next = idle.next(0, addressKey)
    if (next === undefined) return undefined
    connections.delete(next)
    const name = `${next.addressKey}${next.idleSince}`
    next.idleSince = undefined
    return name
  })
}

test('the connection that has been idle the longest ends first, of the address that has most idle ones', () => {
  const connections = new Set([
    connection('guest', 1),
    connection('crowd', 5),
    connection('crowd', 2),
    connection('other', 4),
    connection('crowd', 3),
    connection('other', 6),
    ...Array.from({ length: 9 }, () => connection('busy', undefined)),
  ])
  const order = ['crowd2', 'crowd3', 'other4', 'crowd5', 'other6', 'guest1', undefined]
  expect(endAll(connections, order.length)).toEqual(order)
})

test('of one address alone, if it is given', () => {
  const connections = new Set([connection('crowd', 1), connection('crowd', 2), connection('own', 9)])
  expect(endAll(connections, 2, 'own')).toEqual(['own9', undefined])
})

test('one that has had a request since it was chosen does not end', () => {
  const connections = Array.from({ length: 3 }, (_, n) => connection('a', n))
  const idle = new ReplaceableConnections(new Set(connections), since)
  expect(idle.next(0)).toBe(connections[0])
  connections[0]!.idleSince = undefined
  connections[1]!.idleSince = 99
  expect(idle.next(0)).toBe(connections[2])
  connections[2]!.idleSince = undefined
  expect(idle.next(0)).toBe(connections[1])
})

test('of many as many are chosen by one look as are ended one by one', () => {
  let looks = 0
  const all = Array.from({ length: 1000 }, (_, n) => connection(`${n % 7}`, (n * 7919) % 1000))
  const connections = {
    *[Symbol.iterator]() {
      looks += 1
      yield* all
    },
  }
  const idle = new ReplaceableConnections(connections, since)
  for (let n = 0; n < EVICTED_AT_ONCE; n += 1) {
    const counts = new Map<string, number>()
    for (const { addressKey, idleSince } of all)
      if (idleSince !== undefined) counts.set(addressKey, (counts.get(addressKey) ?? 0) + 1)
    const ended = idle.next(0)!
    expect(counts.get(ended.addressKey)).toBe(Math.max(...counts.values()))
    const own = all.filter(({ addressKey, idleSince }) => addressKey === ended.addressKey && idleSince !== undefined)
    expect(ended.idleSince).toBe(Math.min(...own.map(({ idleSince }) => idleSince!)))
    ended.idleSince = undefined
  }
  expect(looks).toBe(1)
  expect(idle.next(0)).toBeDefined()
  expect(looks).toBe(2)
})

test('one for which none may end does not keep the next one from those that may', () => {
  const connections = [connection('a', 1), connection('a', 2)]
  const idle = new ReplaceableConnections(new Set(connections), since)
  expect(idle.next(0, undefined, () => false)).toBeUndefined()
  expect(idle.next(0, undefined, (key) => key === 'a')).toBe(connections[0])
})

test('where the address of those that were chosen may lose none, others are looked for a moment later', () => {
  const connections = new Set([connection('a', 1), connection('a', 2)])
  const idle = new ReplaceableConnections(connections, since)
  const notA = (key: string) => key !== 'a'
  expect(idle.next(0, undefined, notA)).toBeUndefined()
  const other = connection('b', 3)
  connections.add(other)
  expect(idle.next(EVICTION_SEARCH_MS - 1, undefined, notA)).toBeUndefined()
  expect(idle.next(EVICTION_SEARCH_MS, undefined, notA)).toBe(other)
})

test('where none is idle the next look is a moment later, for the address that was looked for', () => {
  const busy = connection('a', undefined)
  const idle = new ReplaceableConnections(new Set([busy, connection('b', 1)]), since)
  expect(idle.next(0, 'a')).toBeUndefined()
  busy.idleSince = 5
  expect(idle.next(EVICTION_SEARCH_MS - 1, 'a')).toBeUndefined()
  expect(idle.next(EVICTION_SEARCH_MS - 1, 'b')).toMatchObject({ addressKey: 'b' })
  expect(idle.next(EVICTION_SEARCH_MS, 'a')).toBe(busy)
})
