/** Which paths mean one place to every server, and which a rule for paths holds. */
import fc from 'fast-check'
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
  ...['/user@example.com:80', '/a%20b', '/%61dmin', '/a+b'],
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
    ['/a/*', ['/a/b', '/a/b/', '/a/b/c', '/a/*'], ['/a', '/a/', '/ab', '/A/b', '/%61/b', '/', '/b/a/', '//a/b']],
    ['/a/b/*', ['/a/b/c'], ['/a/b', '/a/b/', '/a/c', '/a/', '/a%2Fb/c']],
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

/** What servers do to a path before they look for what it names, each in its own way. */
const READINGS: readonly ((path: string) => string)[] = [
  (path) => path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  (path) => lenientUtf8(path),
  (path) => path.replaceAll('\\', '/'),
  (path) => path.replaceAll(/;[^/]*/g, ''),
  (path) => path.replaceAll('+', ' '),
  (path) => path.normalize('NFKC'),
  (path) => Buffer.from(path, 'latin1').toString('latin1'),
  (path) => path.split('\0', 1)[0]!,
  (path) => path.replaceAll(/\/{2,}/g, '/'),
  (path) => path.replaceAll(/[. ]+(?=\/|$)/g, (dots) => (/^\.{1,2} *$/.test(dots) ? dots.trimEnd() : '')),
]

const lenientUtf8 = (path: string): string => {
  const bytes = path.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  const overlong = bytes.replaceAll(/[\xc0\xc1]([\x80-\xbf])/g, (pair, low: string) =>
    String.fromCharCode(((pair.charCodeAt(0) & 1) << 6) | (low.charCodeAt(0) & 63)),
  )
  return Buffer.from(overlong, 'latin1').toString()
}

function withoutDots(path: string): string {
  const kept: string[] = []
  for (const segment of path.split('/'))
    if (segment === '..') kept.pop()
    else if (segment !== '.') kept.push(segment)
  return kept.join('/')
}

const PIECES = [
  'a',
  '.',
  '..',
  '/',
  '//',
  ';',
  '\\',
  '+',
  ' ',
  '%',
  '25',
  '2e',
  '2f',
  '5c',
  '3b',
  '%2e',
  '%2f',
  '%5c',
  '%25',
]
const MORE = [
  '%20',
  '%00',
  '%c0%ae',
  '%c0%af',
  '%ef%bc%8e',
  '%ef%bc%8f',
  '%e2%80%a5',
  '%c3%a4',
  '%e2%92%88',
  '~',
  ':',
  'webhooks',
]

test('whatever servers do to a plain path below a rule, in whatever order, it stays below', () => {
  const path = fc
    .array(fc.constantFrom(...PIECES, ...MORE), { maxLength: 8 })
    .map((pieces) => `/webhooks/${pieces.join('')}`)
  const readings = fc.array(fc.constantFrom(...READINGS), { maxLength: 8 })
  let plain = 0
  const property = fc.property(path, readings, (text, order) => {
    if (!isPlainPath(text)) return
    plain += 1
    const read = withoutDots(order.reduce((so, reading) => reading(so), text))
    expect(read === '/webhooks' || read.startsWith('/webhooks/'), `${text} was read as ${read}`).toBe(true)
  })
  fc.assert(property, { numRuns: 20_000 })
  expect(plain).toBeGreaterThan(500)
})

test('the readings lead a path out that is not plain', () => {
  for (const text of [
    '/webhooks/%2e%2e/a',
    '/webhooks/..;/a',
    '/webhooks/..%5ca',
    '/webhooks/%c0%ae./a',
    '/webhooks/%ef%bc%8e./a',
  ]) {
    const read = withoutDots([...READINGS, ...READINGS].reduce((so, reading) => reading(so), text))
    expect([text, read]).toEqual([text, '/a'])
  }
})
