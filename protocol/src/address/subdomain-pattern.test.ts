import fc from 'fast-check'
import { expect, test } from 'vitest'
import { allowsSubdomain, isSubdomainPattern } from './subdomain-pattern.ts'

test.each([
  ['*', 'demo', true],
  ['demo', 'demo', true],
  ['demo', 'demo2', false],
  ['demo', 'xdemo', false],
  ['demo-*', 'demo-1', true],
  ['demo-*', 'demo-', true],
  ['demo-*', 'my-demo-1', false],
  ['*-demo', 'my-demo', true],
  ['*-demo', 'my-demo-1', false],
  ['a*b*c', 'a-b-c', true],
  ['a*b*c', 'a-c-b', false],
  ['ab*ba', 'aba', false],
  ['a*a', 'a', false],
  ['**', 'demo', true],
  ['', 'demo', false],
])('%j covers %j: %s', (pattern, name, covered) => {
  expect(allowsSubdomain([pattern], name)).toBe(covered)
})

test('no pattern allows no name, and of several one is enough', () => {
  expect(allowsSubdomain([], 'demo')).toBe(false)
  expect(allowsSubdomain(['other', 'demo'], 'demo')).toBe(true)
})

test('it agrees with the anchored regular expression of the same pattern', () => {
  const text = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 12 })
  fc.assert(
    fc.property(text('ab-*'), text('ab-'), (pattern, name) => {
      expect(allowsSubdomain([pattern], name)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name))
    }),
    { numRuns: 5000 },
  )
})

test.each(['*', 'demo', 'demo-*', '*-x', 'a', 'a'.repeat(63)])('%s can be a pattern', (text) => {
  expect(isSubdomainPattern(text)).toBe(true)
})

test.each(['', 'De*', 'a.b', '-a', 'a-', 'a b', '?', 'a'.repeat(64)])('%j cannot', (text) => {
  expect(isSubdomainPattern(text)).toBe(false)
})
