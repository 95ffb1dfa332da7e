import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isBase, parseSubdomain, subdomainOf } from './subdomain.ts'

describe('a name that is asked for', () => {
  test.each(['abc', 'a1b', '123', 'a-b', 'a'.repeat(63), 'x--y', 'my-app-2'])('%s is a name', (text) => {
    expect(parseSubdomain(text)).toBe(text)
  })

  test.each([
    ...[
      '',
      'a',
      'ab',
      'a'.repeat(64),
      'Demo',
      'DEMO',
      '-abc',
      'abc-',
      '---',
      'a.b',
      'a_b',
      'a b',
      ' abc',
      'abc ',
      'abc.',
    ],
    ...[
      '_acme-challenge',
      'xn--bcher-kva',
      'ab--cd',
      'bücher',
      'demo\n',
      '\0abc',
      'abc\u200b',
      'ａｂｃ',
      '*',
      '*bc',
      'a/b',
    ],
    ...[
      '%61bc',
      'a:80',
      'abс',
      'demo@x',
      "a'b",
      'a"b',
      '<b>',
      '..',
      'abc\r\n',
      'ſabc',
      'Kabc',
      'a‐b',
      'a–b',
      '١٢٣',
      'ab\u0301c',
    ],
  ])('%j is none', (text) => {
    expect(() => parseSubdomain(text)).toThrowError(expect.objectContaining({ code: 'subdomain-invalid' }))
  })

  test.each([
    'www',
    'api',
    'admin',
    'mail',
    'channel',
    'wpad',
    'autodiscover',
    'isatap',
    'postmaster',
    'ns1',
    'mta-sts',
  ])('%s is kept for the service', (text) => {
    expect(() => parseSubdomain(text)).toThrowError(expect.objectContaining({ code: 'subdomain-reserved' }))
    expect(subdomainOf(`${text}.example.com`, 'example.com')).toBeUndefined()
  })

  test('whatever the text, it is a name by a plain pattern or it is refused', () => {
    const label = /^(?!..--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/
    const letters = fc.string({ unit: fc.constantFrom(...'ab09-AZ._ é'), maxLength: 70 })
    fc.assert(
      fc.property(letters, (text) => {
        let code: string | undefined
        try {
          parseSubdomain(text)
        } catch (error) {
          code = (error as { code: string }).code
        }
        expect(code).toBe(label.test(text) ? undefined : 'subdomain-invalid')
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the name in a Host field', () => {
  test.each([
    'demo.example.com',
    'DEMO.Example.COM',
    'demo.example.com.',
    'demo.example.com:8080',
    'Demo.example.com.:80',
  ])('%s asks for demo', (host) => {
    expect(subdomainOf(host, 'example.com')).toBe('demo')
  })

  test.each([
    ...[
      'example.com',
      'a.demo.example.com',
      'demo.example.org',
      'demo-example.com',
      'demo.example.com.evil.org',
      '.example.com',
    ],
    ...[
      '',
      '.',
      ':',
      'demo',
      'ab.example.com',
      '-ab.example.com',
      'demo.example.com..',
      'demo..example.com',
      '[::1]:80',
    ],
    ...[
      'demo.example.com:80:80',
      'demo.example.com:8o',
      'xn--abc.example.com',
      'demo@a.example.com',
      'de mo.example.com',
    ],
    ...[
      `${'a'.repeat(64)}.example.com`,
      '127.0.0.1',
      'demo.example.com:-1',
      'dem\u212a.example.com',
      'demo.\u212axample.com',
    ],
  ])('%j asks for none', (host) => {
    expect(subdomainOf(host, 'example.com')).toBeUndefined()
  })

  test('a base of one label works as well', () => {
    expect(subdomainOf('demo.localhost:8080', 'localhost')).toBe('demo')
    expect(isBase('localhost:8080', 'localhost')).toBe(true)
  })

  test.each(['example.com', 'EXAMPLE.com', 'example.com.', 'example.com:443', 'example.com.:443'])(
    '%s is the base',
    (host) => {
      expect(isBase(host, 'example.com')).toBe(true)
    },
  )

  test.each(['', 'xexample.com', 'demo.example.com', 'example.co', 'example.com..', 'example.com:x', '[example.com]'])(
    '%j is not the base',
    (host) => {
      expect(isBase(host, 'example.com')).toBe(false)
    },
  )
})
