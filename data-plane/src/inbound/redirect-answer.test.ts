import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { CookieFence } from '@postern/protocol/http'
import { HEAD_BYTES } from '@postern/protocol/limits'
import { afterEach, describe, expect, test } from 'vitest'
import { Dispatcher } from '../dispatch/dispatcher.ts'
import { Redirector } from '../dispatch/redirector.ts'
import type { ProxyContext } from '../proxy/proxy-context.ts'
import { RequestIds } from '../proxy/request-ids.ts'
import { PublicListener } from './public-listener.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The listener of a task with the base domain example.com, where visitors come by http. */
async function serve(proxyProtocol: 'required' | 'off' = 'off') {
  const counted: string[] = []
  const refused: string[] = []
  const redirecting: ProxyContext = {
    dispatcher: new Redirector('example.com', 'https://{subdomain}.example.com'),
    proto: 'http',
    cookies: new CookieFence('example.com'),
    newRequestId: new RequestIds('0123456789ab').next,
    failed: () => {},
    records: {
      begun: () => counted.push('request'),
      over: (record) => {
        if (record.fault !== undefined) counted.push(record.fault)
      },
    },
  }
  const routes = { get: () => undefined, isAway: () => false }
  const dispatcher = new Dispatcher({ base: 'example.com', routes, apex: undefined })
  const listener = new PublicListener({
    proxyProtocol,
    now: () => performance.now(),
    context: { ...redirecting, dispatcher, proto: 'https' },
    refused: (fault) => refused.push(fault.code),
    crashed: expect.unreachable,
  })
  const listen = async (context?: ProxyContext): Promise<number> => {
    const server = listener.createServer(context).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  cleanups.push(() => listener.drain(0))
  return { port: await listen(redirecting), publicPort: await listen(), listener, counted, refused }
}

/** Everything that comes back on one connection until its end. */
async function answerTo(port: number, ...pieces: (string | Buffer)[]): Promise<string> {
  const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  cleanups.push(() => socket.destroy())
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  for (const piece of pieces) socket.write(typeof piece === 'string' ? Buffer.from(piece, 'latin1') : piece)
  socket.end()
  await once(socket, 'end', { signal: AbortSignal.timeout(30_000) })
  return text
}

const get = (target: string, host = 'demo.example.com', more = '') =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`

function parts(answer: string) {
  const [head = '', ...rest] = answer.split('\r\n\r\n')
  const [status, ...lines] = head.split('\r\n')
  const fields = new Map(lines.map((line) => [line.split(': ', 1)[0]!.toLowerCase(), line.replace(/^[^:]*: /, '')]))
  return { status, fields, names: lines.map((line) => line.split(':', 1)[0]!), body: rest.join('\r\n\r\n') }
}

test('a visitor is sent to the same URL by https, with nothing else said, and the connection ends', async () => {
  const { port, counted } = await serve()
  const { status, fields, names, body } = parts(await answerTo(port, get('/a/b?c=d&e=%0d%0a')))
  expect(status).toBe('HTTP/1.1 308 Permanent Redirect')
  expect(fields.get('location')).toBe('https://demo.example.com/a/b?c=d&e=%0d%0a')
  expect(fields.get('connection')).toBe('close')
  expect(fields.get('content-length')).toBe('0')
  // Strict-Transport-Security is not among them: it has no place in clear.
  expect(names).toEqual(['Date', 'Location', 'Content-Length', 'Postern-Request-Id', 'Connection'])
  expect(body).toBe('')
  expect(counted).toEqual(['request'])
})

test.each([
  ['the base domain', get('/docs', 'example.com'), 'https://example.com/docs'],
  ['another case, a port and a dot', get('/', 'DEMO.Example.com.:80'), 'https://demo.example.com/'],
  ['two slashes', get('//evil.org/x'), 'https://demo.example.com//evil.org/x'],
  ['a path that looks like user and host', get('/@evil.org'), 'https://demo.example.com/@evil.org'],
  ['absolute-form', get('http://demo.example.com/x?y'), 'https://demo.example.com/x?y'],
  ['absolute-form without a path', get('http://demo.example.com?y'), 'https://demo.example.com/?y'],
  ['the server as such', 'OPTIONS * HTTP/1.1\r\nHost: demo.example.com\r\n\r\n', 'https://demo.example.com'],
  ['HTTP/1.0', 'GET /old HTTP/1.0\r\nHost: demo.example.com\r\n\r\n', 'https://demo.example.com/old'],
  [
    'letters that would become CR and LF in latin1',
    Buffer.from(get('/\u010d\u010a')).toString('latin1'),
    'https://demo.example.com/%C4%8D%C4%8A',
  ],
  ['an upgrade', get('/ws', undefined, 'Connection: Upgrade\r\nUpgrade: websocket\r\n'), 'https://demo.example.com/ws'],
])('a request for %s leads on', async (_what, request, location) => {
  const { port } = await serve()
  const { status, fields } = parts(await answerTo(port, request))
  expect([status, fields.get('location')]).toEqual(['HTTP/1.1 308 Permanent Redirect', location])
})

test('method and body are kept by the status, and nothing of the body comes back', async () => {
  const { port } = await serve()
  const head = 'POST /form HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 11\r\n\r\n'
  const answer = await answerTo(port, head, 'secret=1234')
  expect(answer).toMatch(/^HTTP\/1\.1 308 /)
  expect(answer).not.toContain('secret')
})

test('a second request on the connection is not answered', async () => {
  const { port, counted } = await serve()
  const answer = await answerTo(port, get('/1') + get('/2'))
  expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1)
  expect(counted).toEqual(['request'])
})

describe('is refused, and led nowhere:', () => {
  test.each([
    ['somebody else’s host', get('/', 'evil.org'), 404, 'host-unknown'],
    ['a host that only ends like ours', get('/', 'evil-example.com'), 404, 'host-unknown'],
    ['two labels below the base domain', get('/', 'a.b.example.com'), 404, 'host-unknown'],
    ['a reserved name', get('/', 'www.example.com'), 404, 'host-unknown'],
    ['HTTP/1.0 without a Host', 'GET / HTTP/1.0\r\n\r\n', 404, 'host-unknown'],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400, 'request-invalid'],
    ['two Hosts', get('/', 'demo.example.com', 'Host: evil.org\r\n'), 400, 'request-invalid'],
    ['a Host with a user', get('/', 'demo.example.com@evil.org'), 400, 'request-invalid'],
    ['a Host with a path', get('/', 'demo.example.com/x'), 400, 'request-invalid'],
    ['absolute-form of another host', get('http://evil.org/'), 400, 'request-invalid'],
    ['a CR in the target', get('/x\rSet-Cookie:a=b'), 400, 'request-invalid'],
    ['a line in the target', get('/x\r\nSet-Cookie: a=b'), 400, 'request-invalid'],
    ['a lone LF in the target', get('/x\nSet-Cookie:a=b'), 400, 'request-invalid'],
    ['letters of Latin-1 in the target', Buffer.from(get('/\u00e4'), 'latin1'), 400, 'request-invalid'],
    ['a NUL in the target', get('/\0'), 400, 'request-invalid'],
    ['a CR in the Host', get('/', 'demo.example.com\rX: y'), 400, 'request-invalid'],
    ['CONNECT', 'CONNECT evil.org:443 HTTP/1.1\r\nHost: evil.org:443\r\n\r\n', undefined, undefined],
    [
      'a head that is too large',
      get('/', 'demo.example.com', `X: ${'x'.repeat(HEAD_BYTES)}\r\n`),
      431,
      'head-too-large',
    ],
  ])('%s', async (_what, request, status, code) => {
    const { port, counted } = await serve()
    const answer = await answerTo(port, typeof request === 'string' ? Buffer.from(request) : request)
    const { fields, names } = parts(answer)
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /)
    if (status !== undefined) expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    if (code !== undefined) expect(fields.get('tunnel-error')).toBe(code)
    expect(names).not.toContain('Location')
    expect(names).not.toContain('Set-Cookie')
    expect(answer).not.toContain('evil.org')
    expect(counted).toContain(fields.get('tunnel-error'))
  })
})

/** A PROXY v2 header that speaks for 203.0.113.9:4711 (haproxy.org proxy-protocol.txt §2.2). */
const PROXY_HEADER = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb0071097f00000112671f90', 'hex')

test('behind a balancer the PROXY header comes first, and nothing is answered without it', async () => {
  const { port, refused } = await serve('required')
  expect(await answerTo(port, PROXY_HEADER, get('/x'))).toContain('\r\nLocation: https://demo.example.com/x\r\n')
  const socket = connect(port, '127.0.0.1').on('error', () => {})
  let bytes = 0
  socket.on('data', (chunk) => {
    bytes += chunk.length
  })
  socket.write(get('/x'))
  await once(socket, 'close', { signal: AbortSignal.timeout(30_000) })
  expect([bytes, refused]).toEqual([0, ['proxy-header-invalid']])
})

test('whoever came by https already is not sent anywhere', async () => {
  const { publicPort } = await serve()
  const answer = await answerTo(publicPort, get('/', undefined, 'Connection: close\r\n'))
  expect(answer).toMatch(/^HTTP\/1\.1 404 [\s\S]*tunnel-error: tunnel-not-found/)
})

test('connections of both ports are one count, and end with one drain', async () => {
  const { port, publicPort, listener } = await serve()
  const ended = [port, publicPort].map(async (to) => {
    const socket = connect({ port: to, host: '127.0.0.1' }).resume()
    cleanups.push(() => socket.destroy())
    await once(socket, 'end', { signal: AbortSignal.timeout(30_000) })
  })
  while (listener.visitors < 2) await new Promise(setImmediate)
  await listener.drain(5000)
  await Promise.all(ended)
  expect(listener.visitors).toBe(0)
})
