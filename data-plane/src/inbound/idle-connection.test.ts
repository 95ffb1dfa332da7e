import { expect, test } from 'vitest'
import { idlestOfLargestCrowd } from './idle-connection.ts'

const connection = (addressKey: string, idleSince: number | undefined) => ({ addressKey, idleSince })

test('the connection that has been idle the longest, of the address that has most idle ones', () => {
  const oldest = connection('crowd', 2)
  const connections = [
    connection('guest', 1),
    connection('crowd', 5),
    oldest,
    connection('busy', undefined),
    connection('busy', undefined),
    connection('busy', undefined),
  ]
  expect(idlestOfLargestCrowd(connections)).toBe(oldest)
})

test('of one address alone, if it is named', () => {
  const own = connection('own', 9)
  expect(idlestOfLargestCrowd([connection('crowd', 1), connection('crowd', 1), own], 'own')).toBe(own)
})

test('none while every connection has a request', () => {
  expect(idlestOfLargestCrowd([connection('a', undefined)])).toBeUndefined()
  expect(idlestOfLargestCrowd([connection('a', 1)], 'b')).toBeUndefined()
})
