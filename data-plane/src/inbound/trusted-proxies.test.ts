/** Proxies before the service: of whom forwarded fields and PROXY headers are taken, and what is one visitor's on a connection of all. */
import { parseNetwork } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { TrustedProxies } from '../proxy/visitor.ts'
import { Browser } from '../testing/browser.ts'
import { SeenRequest, visit } from '../testing/h2-visitor.ts'
import { type StandOptions, startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { VisitorCeilings } from './visitor-ceilings.ts'

const trusting = (...networks: string[]) => new TrustedProxies(networks.map((text) => parseNetwork(text)!))
const LOOPBACK = trusting('127.0.0.0/8')
const ELSEWHERE = trusting('192.0.2.0/24')

const get = (path: string, ...more: string[]) =>
  [`GET ${path} HTTP/1.1`, 'Host: demo.example.com', ...more, '', ''].join('\r\n')
const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const VISITOR = 'X-Forwarded-For: 6.6.6.6, 203.0.113.7'
const HTTP = 'X-Forwarded-Proto: http'

async function standWith(options: StandOptions) {
  const route = new ScriptedRoute()
  return { route, ...(await startPublicStand(toDemo(route), options)) }
}

test('of a trusted proxy the fields are believed, request by request', async () => {
  const { route, port } = await standWith({ proxies: LOOPBACK })
  const browser = new Browser(port)
  for (const [index, address] of ['203.0.113.7', '2001:db8::7', '127.0.0.1'].entries()) {
    browser.send(get(`/${index}`, ...(address === '127.0.0.1' ? [] : [`X-Forwarded-For: 6.6.6.6, ${address}`, HTTP])))
    const { stream } = await route.leased(index)
    expect(stream.received).toContain(`X-Forwarded-For: ${address}\r\n`)
    expect(stream.received).toContain(`X-Forwarded-Proto: ${address === '127.0.0.1' ? 'https' : 'http'}\r\n`)
    expect(stream.received.match(/^x-forwarded-for:/gim)).toHaveLength(1)
    expect(stream.received).not.toContain('6.6.6.6')
    stream.answer(ok(`end ${index}`))
    await browser.until(({ text }) => text.endsWith(`end ${index}`))
  }
})

test('a request is refused whose visitor the proxy does not name, and the next one is served', async () => {
  const { route, port } = await standWith({ proxies: LOOPBACK })
  const browser = new Browser(port).send(get('/', 'X-Forwarded-For: 203.0.113.7, unknown'))
  await browser.until(({ text }) => text.includes('HTTP/1.1 400 ') && text.includes('forwarded-for-invalid'))
  expect(route.leases).toHaveLength(0)
  browser.send(get('/next', VISITOR))
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('X-Forwarded-For: 203.0.113.7\r\n')
  const session = visit(port)
  const request = new SeenRequest(session, { 'x-forwarded-for': '_hidden' })
  await request.closed
  expect(request.status).toBe(400)
  expect(route.leases).toHaveLength(1)
})

test('what a visitor names in Connection takes nothing away that the proxy says', async () => {
  const { route, port } = await standWith({ proxies: LOOPBACK })
  const names = 'Connection: keep-alive, X-Forwarded-For, X-Forwarded-Proto, Forwarded'
  new Browser(port).send(get('/', VISITOR, HTTP, names))
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: http\r\n')
})

test('a PROXY header behind the first request is no request', async () => {
  const { route, port } = await standWith({ proxies: LOOPBACK, proxyProtocol: 'optional' })
  const browser = new Browser(port).send(get('/', VISITOR))
  const { stream } = await route.leased(0)
  stream.answer(ok('first'))
  await browser.until(({ text }) => text.endsWith('first'))
  browser.send(`PROXY TCP4 10.0.0.1 127.0.0.1 1 2\r\n${get('/', VISITOR)}`)
  await browser.until(({ text }) => text.includes('HTTP/1.1 400 '))
  expect(route.leases).toHaveLength(1)
})

test('of anybody else they are replaced', async () => {
  const { route, port } = await standWith({ proxies: ELSEWHERE, proxyProtocol: 'optional' })
  new Browser(port).send(get('/', VISITOR, HTTP, 'X-Forwarded-Host: demo.example.com:81', 'X-Forwarded-Port: 81'))
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('X-Forwarded-For: 127.0.0.1\r\n')
  expect(stream.received).toContain('X-Forwarded-Proto: https\r\n')
  expect(stream.received).toContain('X-Forwarded-Host: demo.example.com\r\n')
  expect(stream.received).not.toMatch(/6\.6\.6\.6|203\.0\.113|X-Forwarded-Port/)
})

test('requests of one HTTP/2 connection of a proxy have their own visitors', async () => {
  const { route, port } = await standWith({ proxies: LOOPBACK })
  const session = visit(port)
  for (const [index, address] of ['203.0.113.7', '203.0.113.8'].entries()) {
    const request = new SeenRequest(session, { 'x-forwarded-for': address, 'x-forwarded-proto': 'http' })
    const { stream } = await route.leased(index)
    expect(stream.received).toContain(`X-Forwarded-For: ${address}\r\nX-Forwarded-Proto: http\r\n`)
    stream.answer(ok('x'))
    await request.closed
  }
})

test("a tunnel's rules judge the visitor, not the proxy", async () => {
  const seen: string[] = []
  const route = new ScriptedRoute()
  const judge = (address: string) => {
    seen.push(address)
    return new TunnelFault('visitor-not-allowed')
  }
  route.gate = { judge }
  const { port } = await startPublicStand(toDemo(route), { proxies: LOOPBACK })
  const browser = new Browser(port).send(get('/', VISITOR))
  await browser.until(({ text }) => text.includes('visitor-not-allowed'))
  expect(seen).toEqual(['203.0.113.7'])
})

test('connections of a proxy are not counted as those of one visitor', async () => {
  const options = { ceilings: new VisitorCeilings({ perAddress: 1 }) }
  const { route, port } = await standWith({ ...options, proxies: LOOPBACK })
  for (const index of [0, 1, 2]) {
    new Browser(port).send(get(`/${index}`, VISITOR))
    await route.leased(index)
  }
  const other = await standWith({ ceilings: new VisitorCeilings({ perAddress: 1 }), proxies: ELSEWHERE })
  new Browser(other.port).send(get('/', VISITOR))
  await other.route.leased(0)
  const second = new Browser(other.port).send(get('/', VISITOR))
  await second.until(({ text }) => text.includes('visitors-exhausted'))
})

test('a sign-in that belongs to a connection is refused where visitors share one', async () => {
  const { route, port } = await standWith({ proxies: LOOPBACK })
  const asking = new Browser(port).send(get('/', VISITOR, 'Authorization: NTLM TlRMTVNTUAAB'))
  await asking.until(({ text }) => text.includes('tunnel-error: connection-sign-in'))
  expect(route.leases).toHaveLength(0)
  const offered = new Browser(port).send(get('/offered', VISITOR))
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\nContent-Length: 0\r\n\r\n')
  await offered.until(({ text }) => text.includes('tunnel-error: connection-sign-in'))
  expect(stream.state).toBe('reset')
})

/** Version 2, for a connection of 203.0.113.7:4711 to 127.0.0.1:80. */
const VERSION_2 = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb0071077f00000112670050', 'hex')
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex')
const VERSION_1 = Buffer.from('PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n')
const headers: [title: string, header: Buffer][] = [
  ['version 2', VERSION_2],
  ['version 1', VERSION_1],
]

test.each(headers)(
  'a PROXY header of %s is taken of a trusted proxy, and forwarded fields behind it are not',
  async (_title, header) => {
    for (const proxyProtocol of ['optional', 'required'] as const) {
      const { route, port } = await standWith({ proxies: LOOPBACK, proxyProtocol })
      const browser = new Browser(port)
      browser.socket.write(Buffer.concat([header, Buffer.from(get('/', 'X-Forwarded-For: 6.6.6.6', HTTP))]))
      const { stream } = await route.leased(0)
      expect(stream.received).toContain('X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n')
    }
  },
)

test.each(headers)(
  'a PROXY header of %s is no request from anybody else, whatever the policy',
  async (_title, header) => {
    for (const proxyProtocol of ['optional', 'required'] as const) {
      const { route, port } = await standWith({ proxies: ELSEWHERE, proxyProtocol })
      const browser = new Browser(port)
      browser.socket.write(Buffer.concat([header, Buffer.from(get('/'))]))
      await browser.until(({ text }) => text.startsWith('HTTP/1.1 400 '))
      expect(route.leases).toHaveLength(0)
    }
  },
)

test('behind a header that names another trusted proxy, its fields are believed', async () => {
  const { route, port } = await standWith({
    proxies: trusting('127.0.0.0/8', '203.0.113.7'),
    proxyProtocol: 'optional',
  })
  const browser = new Browser(port)
  browser.socket.write(Buffer.concat([VERSION_1, Buffer.from(get('/', 'X-Forwarded-For: 198.51.100.9'))]))
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('X-Forwarded-For: 198.51.100.9\r\n')
})

test.each<[title: string, header: Buffer]>([
  ['LOCAL', LOCAL],
  ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
])('behind a header that names nobody (%s) no field is believed', async (_title, header) => {
  const { route, port } = await standWith({ proxies: LOOPBACK, proxyProtocol: 'optional' })
  const browser = new Browser(port)
  browser.socket.write(Buffer.concat([header, Buffer.from(get('/', VISITOR))]))
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('X-Forwarded-For: 127.0.0.1\r\n')
})

test('half a header that never ends is refused; one in two pieces is taken', async () => {
  const { route, port, faults } = await standWith({ proxies: LOOPBACK, proxyProtocol: 'optional' })
  const half = new Browser(port)
  half.socket.end(VERSION_2.subarray(0, 20))
  await half.until(({ ended }) => ended)
  expect([route.leases.length, faults.length]).toEqual([0, 1])
  const pieces = new Browser(port)
  pieces.socket.write(VERSION_1.subarray(0, 9))
  await new Promise((resolve) => setImmediate(resolve))
  pieces.socket.write(Buffer.concat([VERSION_1.subarray(9), Buffer.from(get('/'))]))
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('X-Forwarded-For: 203.0.113.7\r\n')
})

test('with required headers a trusted proxy cannot come without one', async () => {
  const { route, port, faults } = await standWith({ proxies: LOOPBACK, proxyProtocol: 'required' })
  const browser = new Browser(port).send(get('/'))
  await browser.until(({ ended }) => ended)
  expect([route.leases.length, faults]).toEqual([0, ['proxy-header-invalid']])
})

test('a request whose method is PROXY is a request', async () => {
  const { route, port } = await standWith({ proxies: LOOPBACK, proxyProtocol: 'optional' })
  new Browser(port).send(get('/', VISITOR).replace('GET', 'PROXY'))
  const { stream } = await route.leased(0)
  expect(stream.received).toMatch(/^PROXY \/ HTTP\/1\.1\r\n/)
})
