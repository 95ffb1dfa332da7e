import { parseSubdomain } from '@postern/protocol/address'
import { expect, test } from 'vitest'
import { twoWords } from './two-words.ts'

test('every word that can be drawn makes a name that the service accepts', () => {
  for (let step = 0; step < 1000; step += 1) {
    expect(() => parseSubdomain(twoWords(() => step / 1000))).not.toThrow()
  }
})

test('names come out of ten thousand', () => {
  const names = new Set<string>()
  for (let i = 0; i < 100; i += 1) for (let j = 0; j < 150; j += 1) names.add(twoWords(sequence(i / 100, j / 150)))
  expect(names.size).toBeGreaterThan(10_000)
})

function sequence(...values: number[]): () => number {
  let next = 0
  return () => values[next++ % values.length]!
}
