import { expect, test } from 'vitest'
import { RequestIds } from './request-ids.ts'

test('no name comes twice, and none is so long that V8 keeps it in pieces', () => {
  const { next } = new RequestIds('0123456789ab')
  const names = Array.from({ length: 100_000 }, next)
  expect(new Set(names).size).toBe(names.length)
  expect(Math.max(...names.map(({ length }) => length))).toBeLessThan(13)
  expect(names.every((name) => /^[0-9a-z]{6}-[0-9a-z]{2,5}$/.test(name))).toBe(true)
})

test('two starts of a process have names of their own', () => {
  expect(new RequestIds('0123456789ab').next()).not.toBe(new RequestIds('0123456789ac').next())
})
