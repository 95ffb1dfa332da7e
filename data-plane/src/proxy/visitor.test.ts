import { parseNetwork } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { RequestHeadParser } from '@postern/protocol/http'
import { MOST_FORWARDED_HOPS } from '@postern/protocol/limits'
import { describe, expect, test } from 'vitest'
import { TrustedProxies, visitorAt } from './visitor.ts'

const proxies = new TrustedProxies(['127.0.0.0/8', '10.0.0.0/8', 'fd00::/8', '::1'].map((text) => parseNetwork(text)!))
const PROXY = visitorAt('127.0.0.1', '127.0.0.1', 'https')

function visitorWith(...fields: string[]) {
  const bytes = Buffer.from(['GET / HTTP/1.1', 'Host: demo.example.com', ...fields, '', ''].join('\r\n'))
  const head = new RequestHeadParser().parse(bytes, 0, bytes.length)!
  const visitor = proxies.visitorOf(head, PROXY, PROXY)
  if (visitor instanceof TunnelFault) throw visitor
  return { ...visitor, lines: String(visitor.forwarded.linesFor(head.host)) }
}

describe('the address of a visitor behind a trusted proxy', () => {
  test.each<[title: string, fields: string[], address: string]>([
    ['no field', [], '127.0.0.1'],
    ['an empty field', ['X-Forwarded-For: '], '127.0.0.1'],
    ['one address', ['X-Forwarded-For: 203.0.113.7'], '203.0.113.7'],
    ['one that the visitor invented before it', ['X-Forwarded-For: 6.6.6.6, 203.0.113.7'], '203.0.113.7'],
    ['a proxy of ours that the visitor invented', ['X-Forwarded-For: 127.0.0.1, 203.0.113.7'], '203.0.113.7'],
    ['an invention in a line of its own', ['X-Forwarded-For: 6.6.6.6', 'X-Forwarded-For: 203.0.113.7'], '203.0.113.7'],
    ['two trusted proxies in a row', ['X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.1.2.3'], '203.0.113.7'],
    ['three, one of them by IPv6', ['X-Forwarded-For: 203.0.113.7, fd00::7, 10.1.2.3'], '203.0.113.7'],
    ['trusted proxies alone', ['X-Forwarded-For: 10.0.0.1, 10.0.0.2'], '10.0.0.1'],
    ['blanks, tabs and empty items', ['X-Forwarded-For: ,\t203.0.113.7 , 10.0.0.1'], '203.0.113.7'],
    ['IPv6', ['X-Forwarded-For: 2001:DB8::7'], '2001:db8::7'],
    ['IPv6 in brackets with a port', ['X-Forwarded-For: [2001:db8::7]:4711'], '2001:db8::7'],
    ['IPv6 in brackets', ['X-Forwarded-For: [2001:db8::7]'], '2001:db8::7'],
    ['IPv4 with a port', ['X-Forwarded-For: 203.0.113.7:4711'], '203.0.113.7'],
    ['IPv4 written as IPv6', ['X-Forwarded-For: ::ffff:203.0.113.7'], '203.0.113.7'],
    ['a trusted proxy written as IPv6', ['X-Forwarded-For: 203.0.113.7, ::ffff:10.0.0.1'], '203.0.113.7'],
    ['Forwarded', ['Forwarded: for=6.6.6.6;proto=http'], '127.0.0.1'],
    ['X-Real-IP', ['X-Real-IP: 6.6.6.6'], '127.0.0.1'],
    ['a look-alike', ['X_Forwarded_For: 6.6.6.6'], '127.0.0.1'],
  ])('%s', (_title, fields, address) => {
    const visitor = visitorWith(...fields)
    expect(visitor.address).toBe(address)
    expect(visitor.lines).toContain(`X-Forwarded-For: ${address}\r\n`)
  })

  test.each([
    'unknown',
    '203.0.113.7, unknown',
    '203.0.113.7, _hidden',
    '6.6.6.6, unknown, 10.0.0.1',
    '203.0.113.7,',
    '"><script>',
    '3232235777',
    '010.0.0.1',
    'fe80::1%eth0',
    '1.2.3.4:99999',
    '[2001:db8::7]:99999',
    '[1.2.3.4]:80',
    '1.2.3.4:',
    '[2001:db8::7',
  ])('is unknown of %j', (list) => {
    expect(() => visitorWith(`X-Forwarded-For: ${list}`)).toThrow(
      expect.objectContaining({ code: 'forwarded-for-invalid', status: 400 }),
    )
  })

  test('is the last one read of a list without end', () => {
    const list = [...Array(MOST_FORWARDED_HOPS + 1)].map((_each, index) => `10.0.0.${index}`)
    expect(visitorWith(`X-Forwarded-For: 6.6.6.6, ${list.join(', ')}`).address).toBe('10.0.0.1')
  })

  test('is counted by its network', () => {
    expect(visitorWith('X-Forwarded-For: 2001:db8:1:2:3::7').key).toBe('2001:db8:1:2::/64')
  })
})

describe('the scheme that the visitor came by', () => {
  test.each<[title: string, fields: string[], proto: string]>([
    ["without the field the deployment's own", [], 'https'],
    ['http', ['X-Forwarded-Proto: http'], 'http'],
    ['HTTPS', ['X-Forwarded-Proto: HTTPS'], 'https'],
    ['wss', ['X-Forwarded-Proto: wss'], 'https'],
    ['ws', ['X-Forwarded-Proto: ws'], 'http'],
    ['a word that is no scheme', ['X-Forwarded-Proto: gopher'], 'https'],
    ['an invention before the proxy’s', ['X-Forwarded-For: 203.0.113.7', 'X-Forwarded-Proto: https, http'], 'http'],
    [
      'two proxies that each add theirs',
      ['X-Forwarded-For: 203.0.113.7, 10.0.0.1', 'X-Forwarded-Proto: https, http'],
      'https',
    ],
    [
      'two proxies and an invention',
      ['X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.1', 'X-Forwarded-Proto: https, http, https'],
      'http',
    ],
    [
      'one that replaces and one that adds',
      ['X-Forwarded-For: 6.6.6.6, 203.0.113.7', 'X-Forwarded-Proto: http'],
      'http',
    ],
  ])('%s', (_title, fields, proto) => {
    const visitor = visitorWith(...fields)
    expect(visitor.proto).toBe(proto)
    expect(visitor.lines).toContain(`X-Forwarded-Proto: ${proto}\r\n`)
  })
})

describe('the host that the visitor asked for', () => {
  test.each<[title: string, said: string, host: string]>([
    ['the same', 'demo.example.com', 'demo.example.com'],
    ['the same with its port', 'demo.example.com:8443', 'demo.example.com:8443'],
    ['the same in capitals', 'DEMO.example.com:8443', 'demo.example.com:8443'],
    ['another site, as a visitor may invent', 'evil.example.org', 'demo.example.com'],
    ['another tunnel', 'other.example.com', 'demo.example.com'],
    ['two, of which the proxy wrote the last', 'evil.example.org, demo.example.com:8443', 'demo.example.com:8443'],
    ['no authority', 'demo.example.com:8443"; for=6.6.6.6', 'demo.example.com'],
    ['a port that is none', 'demo.example.com:99999', 'demo.example.com'],
  ])('%s', (_title, said, host) => {
    const { lines } = visitorWith(`X-Forwarded-Host: ${said}`)
    expect(lines).toContain(`X-Forwarded-Host: ${host}\r\n`)
  })
})
