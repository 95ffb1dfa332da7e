import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { canProve, isProvenBy, NodeKey } from './node-key.ts'

test('a process proves by its key that it is the one of its boot id, on one connection alone', () => {
  const [key, other] = [new NodeKey(), new NodeKey()]
  const [binding, another] = [randomBytes(32), randomBytes(32)]
  const proof = key.prove(binding)
  expect(isProvenBy(key.bootId, binding, proof)).toBe(true)
  expect(isProvenBy(key.bootId, another, proof)).toBe(false)
  expect(isProvenBy(other.bootId, binding, proof)).toBe(false)
})

test('a boot id of an older version proves nothing', () => {
  const bootId = '8c5e2b0a-0000-4000-8000-000000000001'
  expect([canProve(bootId), canProve(new NodeKey().bootId)]).toEqual([false, true])
  expect(isProvenBy(bootId, randomBytes(32), new NodeKey().prove(randomBytes(32)))).toBe(false)
})
