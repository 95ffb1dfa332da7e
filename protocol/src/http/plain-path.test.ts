/** Which paths mean one place to every server, and which a rule for paths holds. */
import { describe, expect, test } from 'vitest'
import { holdsPath, isPathPattern } from './path-pattern.ts'
import { isPlainPath, pathOf } from './plain-path.ts'
import { TRICKS } from './testing/tricky-paths.ts'

const PLAIN = [
  ...[
    '/',
    '/a',
    '/a/',
    '/healthz',
    '/.well-known/acme',
    '/a.b/..c/d..',
    '/...a',
    '/~ann/x',
    '/a,b/c=d&e',
    "/a!b$c'(d)*",
  ],
  ...['/user@example.com:80', '/a%20b', '/%61dmin', '/gr%C3%BC%C3%9Fe', '/%E6%9D%B1%E4%BA%AC/1', '/%D9%A3', '/a+b'],
]

test.each(PLAIN)('%s means one place', (path) => {
  expect(isPlainPath(path)).toBe(true)
})

test.each(['', '*', 'a', 'http://a/b', ...TRICKS.map((trick) => `/webhooks/${trick}`)])('%j does not', (path) => {
  expect(isPlainPath(path)).toBe(false)
})

test('a query is no part of the path', () => {
  expect([pathOf('/a?b'), pathOf('/a?b?c=/../d'), pathOf('/a'), pathOf('/?')]).toEqual(['/a', '/a', '/a', '/'])
})

describe('a rule for paths', () => {
  test.each<[pattern: string, holds: string[], others: string[]]>([
    ['/healthz', ['/healthz'], ['/healthz/', '/healthz/x', '/healthzx', '/Healthz', '/healt%68z', '/', '/a/healthz']],
    ['/a/*', ['/a/', '/a/b', '/a/b/c', '/a/*'], ['/a', '/ab', '/A/b', '/%61/b', '/', '/b/a/', '//a/b']],
    ['/a/b/*', ['/a/b/', '/a/b/c'], ['/a/b', '/a/c', '/a/', '/a%2Fb/c']],
    ['/', ['/'], ['/a', '//', '']],
  ])('%s', (pattern, holds, others) => {
    expect(isPathPattern(pattern)).toBe(true)
    for (const path of holds) expect([path, holdsPath(pattern, path)]).toEqual([path, true])
    for (const path of others) expect([path, holdsPath(pattern, path)]).toEqual([path, false])
  })

  test.each([
    '',
    '*',
    '/*',
    '*/a',
    'a/*',
    '/a*',
    '/*/a',
    '/a/*/b',
    '/a//*',
    '/../*',
    '/a/..',
    '/a?b',
    '/a b',
    '/ä',
    '//*',
  ])('%j is none', (pattern) => expect(isPathPattern(pattern)).toBe(false))
})
