import { once } from 'node:events'
import http2 from 'node:http2'
import { connect, type Socket } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import {
  H2_CONTROL_FRAMES_BURST,
  H2_RESETS_BURST,
  H2_STREAMS_PER_VISITOR,
  LINGER_MS,
  ORIGIN_FIRST_BYTE_MS,
  SLOW_VISITOR_MS,
  SWEEP_MS,
  VISITOR_IDLE_MS,
} from '@postern/protocol/limits'
import { expect, onTestFinished, test } from 'vitest'
import { dataFrame, headersFrame, PREFACE, resetFrame, SETTINGS } from '../../testing/h2-frames.ts'
import { SeenRequest, until, visit } from '../../testing/h2-visitor.ts'
import { startPublicStand, toDemo } from '../../testing/public-stand.ts'
import { ScriptedRoute } from '../../testing/scripted-route.ts'

const serve = (route: ScriptedRoute) => startPublicStand(toDemo(route))

test('a request goes to the local server as HTTP/1.1, with crumbs of cookies joined and our own fields', async () => {
  const route = new ScriptedRoute()
  const { port, recorded } = await serve(route)
  const request = new SeenRequest(visit(port), {
    ':path': '/a?b=1',
    cookie: ['a=1', 'b=2', 'c=3'],
    'x-own': 'yes',
    'x-forwarded-for': '9.9.9.9',
  })
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => received.includes('\r\n\r\n'))
  expect(stream.received.split('\r\n')).toEqual([
    'GET /a?b=1 HTTP/1.1',
    'host: demo.example.com',
    'cookie: a=1; b=2; c=3',
    'x-own: yes',
    'X-Forwarded-For: 127.0.0.1',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: demo.example.com',
    'Postern-Request-Id: p91dwr-00',
    'Via: 2.0 postern',
    '',
    '',
  ])
  stream.answer(
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: x-hop\r\nX-Hop: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nSet-Cookie: c=3; Domain=example.com\r\n\r\nhi',
  )
  await request.closed
  expect(request).toMatchObject({ status: 200, text: 'hi', ended: true })
  expect(request.headers).toMatchObject({
    'content-length': '2',
    'set-cookie': ['a=1', 'b=2'],
    'postern-request-id': 'p91dwr-00',
  })
  expect(Object.keys(request.headers)).not.toEqual(expect.arrayContaining(['connection']))
  expect(request.headers).not.toHaveProperty('x-hop')
  expect(route.leases[0]!.kept).toBeGreaterThan(0)
  expect(recorded).toEqual(['HTTP/2.0 200 whole -'])
})

test('bodies and trailers pass both ways, interim responses before the final one', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const session = visit(port)
  const stream = session.request(
    { ':method': 'POST', ':authority': 'demo.example.com', te: 'trailers' },
    { waitForTrailers: true },
  )
  const seen: unknown[] = []
  stream.on('headers', (headers) => seen.push(headers[':status']))
  stream.on('response', (headers) => seen.push(headers[':status']))
  stream.on('trailers', (headers) => seen.push(headers['x-sum']))
  stream.on('data', (chunk) => seen.push(String(chunk)))
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-check': '42' }))
  stream.end('body')
  const lease = await route.leased(0)
  await lease.stream.until(({ received }) => received.endsWith('0\r\nx-check: 42\r\n\r\n'))
  expect(lease.stream.received).toContain('Connection: TE\r\nTE: trailers\r\n')
  expect(lease.stream.received).toContain('\r\n4\r\nbody\r\n0\r\n')
  lease.stream.answer('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
  lease.stream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await until(() => seen.includes('abc'))
  lease.stream.answer('0\r\nX-Sum: 7\r\n\r\n')
  await once(stream, 'close')
  expect(seen).toEqual([103, 200, 'abc', '7'])
  expect(stream.rstCode).toBe(0)
})

test('fields that HTTP/2 forbids are dropped from heads and trailers, in both directions', async () => {
  const route = new ScriptedRoute()
  const { port, faults } = await serve(route)
  const request = new SeenRequest(visit(port), { ':method': 'POST', 'x-own': '1' }, false)
  const { stream } = await route.leased(0)
  stream.answer(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nHTTP2-Settings: AAAA\r\nTE: gzip\r\nConstructor: a\r\n__proto__: b\r\n\r\n2\r\nok\r\n0\r\nHTTP2-Settings: AAAA\r\nX-Sum: 7\r\n\r\n',
  )
  request.stream.end()
  await request.closed
  expect(request).toMatchObject({ status: 200, text: 'ok', ended: true })
  expect(Object.keys(request.headers)).toEqual([
    ':status',
    'constructor',
    '__proto__',
    'date',
    'postern-request-id',
    'server-timing',
  ])
  expect(Object.keys(request.trailers!)).toEqual(['x-sum'])
  expect(faults).toEqual([])
})

test('an exception while a request is looked up or its body passed on ends that request, and no other', async () => {
  const route = new ScriptedRoute()
  const dispatcher = toDemo(route)
  const { port, faults, recorded } = await startPublicStand({
    find: (host) => {
      if (host === 'defect.example.com') throw new Error('a defect')
      return dispatcher.find(host)
    },
  })
  const session = visit(port)
  const other = new SeenRequest(session, {})
  const { stream } = await route.leased(0)
  const looked = new SeenRequest(session, { ':authority': 'defect.example.com' })
  await looked.closed
  expect(looked.stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
  const upload = new SeenRequest(session, { ':method': 'POST' }, false)
  const { stream: taking } = await route.leased(1)
  taking.write = () => {
    throw new Error('a defect')
  }
  upload.stream.end('body')
  await upload.closed
  expect(upload.stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
  expect(faults).toEqual(['internal-error', 'internal-error'])
  expect(recorded).toEqual(['HTTP/2.0 0 cut internal-error', 'HTTP/2.0 0 cut internal-error'])
  stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await other.closed
  expect(other).toMatchObject({ status: 200, text: 'ok' })
})

test.each([
  ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 200],
  ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204],
  ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', 304],
  ['GET', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 2\r\n\r\nhi', 205],
  ['GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 200],
])('a response to %s without a body ends with its head: %j', async (method, answer, status) => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const request = new SeenRequest(visit(port), { ':method': method })
  const { stream } = await route.leased(0)
  stream.answer(answer)
  await request.closed
  expect(request).toMatchObject({ status, text: '', ended: true })
  expect(request.stream.rstCode).toBe(0)
})

test.each([599, 600, 799, 999])(
  'a status of %i is passed on up to 599, which is as far as HTTP/2 goes here',
  async (status) => {
    const route = new ScriptedRoute()
    const { port, faults } = await serve(route)
    const request = new SeenRequest(visit(port), {})
    const { stream } = await route.leased(0)
    stream.answer(`HTTP/1.1 ${status} X\r\nContent-Length: 2\r\n\r\nhi`)
    await request.closed
    expect(request).toMatchObject({ status: status < 600 ? status : 502, ended: true })
    expect(request.headers['tunnel-error']).toBe(status < 600 ? undefined : 'origin-invalid')
    expect(faults).toEqual(status < 600 ? [] : ['origin-invalid'])
    expect(request.stream.rstCode).toBe(0)
  },
)

test.each([
  ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
])('a response %s that breaks off is reset, and never ends', async (_how, answer) => {
  const route = new ScriptedRoute()
  const { port, faults, recorded } = await serve(route)
  const request = new SeenRequest(visit(port), {})
  const { stream } = await route.leased(0)
  stream.answer(answer)
  await until(() => request.text === 'half')
  stream.listener!.reset(new TunnelFault('stream-reset'))
  await request.closed
  expect(request.stream.rstCode).toBe(http2.constants.NGHTTP2_INTERNAL_ERROR)
  expect(faults).toEqual(['origin-closed'])
  expect(recorded).toEqual(['HTTP/2.0 200 cut origin-closed'])
})

test('a response delimited by the end of its connection ends by END_STREAM', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const request = new SeenRequest(visit(port), {})
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\n\r\nall')
  stream.answer(' of it')
  stream.listener!.end()
  await request.closed
  expect(request).toMatchObject({ text: 'all of it', ended: true })
})

test('a visitor that takes its request back is gone for the local server at once', async () => {
  const route = new ScriptedRoute()
  const { port, recorded } = await serve(route)
  const request = new SeenRequest(visit(port), { ':method': 'POST' }, false)
  const { stream } = await route.leased(0)
  request.stream.close(http2.constants.NGHTTP2_CANCEL)
  await stream.until(({ state }) => state === 'reset')
  expect(recorded).toEqual(['HTTP/2.0 0 abandoned -'])
})

test('requests of one connection go side by side, each with its own answer', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const session = visit(port)
  const requests = Array.from({ length: 20 }, (_, index) => new SeenRequest(session, { ':path': `/${index}` }))
  await route.leased(19)
  for (const { stream } of [...route.leases].reverse()) {
    const path = /^GET (\S+)/.exec(stream.received)![1]
    stream.answer(`HTTP/1.1 200 OK\r\nContent-Length: ${path!.length}\r\n\r\n${path}`)
  }
  await Promise.all(requests.map(({ closed }) => closed))
  expect(requests.map(({ text }) => text)).toEqual(requests.map((_, index) => `/${index}`))
})

test.each([
  ['an unknown tunnel', { ':authority': 'none.example.com' }, 404, 'tunnel-not-found'],
  ['CONNECT', { ':method': 'CONNECT', ':scheme': undefined, ':path': undefined }, 405, 'connect-refused'],
  ['another Host than :authority', { host: 'other.example.com' }, 400, 'request-invalid'],
  ['a scheme that is none of ours', { ':scheme': 'ftp' }, 400, 'request-invalid'],
  ['a look-alike of a framing field', { content_length: '5' }, 400, 'request-invalid'],
  ['too long a target', { ':path': `/${'a'.repeat(17_000)}` }, 414, 'uri-too-long'],
  ['too large a head', { 'x-large': 'a'.repeat(33_000) }, 431, 'head-too-large'],
  [
    'too many fields',
    Object.fromEntries(Array.from({ length: 110 }, (_, i) => [`x-${i}`, '1'])),
    431,
    'head-too-large',
  ],
] as const)('%s is answered as in HTTP/1.1', async (_what, fields, status, code) => {
  const route = new ScriptedRoute()
  const { port, recorded } = await serve(route)
  const session = visit(port)
  const request = new SeenRequest(session, { accept: 'application/json', ...fields })
  await request.closed
  expect(request).toMatchObject({ status, ended: true })
  expect(request.headers['tunnel-error']).toBe(code)
  expect(recorded).toEqual([`HTTP/2.0 ${status} refused ${code}`])
  expect(route.leases).toHaveLength(0)
  expect(session.destroyed).toBe(false)
})

test('an answer of ours to a request whose body still comes is read to its end; then the rest is not wanted', async () => {
  const { port, wait } = await serve(new ScriptedRoute())
  const request = new SeenRequest(visit(port), { ':method': 'POST', ':authority': 'none.example.com' }, false)
  request.stream.write('x'.repeat(300_000))
  await until(() => request.ended)
  expect(request.status).toBe(404)
  wait(LINGER_MS + 2 * SWEEP_MS)
  await request.closed
  expect(request.stream.rstCode).toBe(0)
})

test('a final answer before 100 Continue ends the request, and the connection goes on', async () => {
  const route = new ScriptedRoute()
  const { port, wait, recorded } = await serve(route)
  const session = visit(port)
  const request = new SeenRequest(session, { ':method': 'POST', expect: '100-continue', 'content-length': '5' }, false)
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno')
  await until(() => request.ended)
  expect(request).toMatchObject({ status: 417, text: 'no' })
  expect(recorded).toEqual(['HTTP/2.0 417 whole -'])
  wait(LINGER_MS + 2 * SWEEP_MS)
  await request.closed
  expect(request.stream.rstCode).toBe(0)
  expect(session.closed).toBe(false)
})

test('an upload that its visitor takes back without an error is not whole', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const raw = connect(port, '127.0.0.1').resume()
  onTestFinished(() => void raw.destroy())
  raw.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1, 'POST'), dataFrame(1, Buffer.from('first'))]))
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => received.includes('first'))
  raw.write(resetFrame(1, http2.constants.NGHTTP2_NO_ERROR))
  await stream.until(({ state }) => state !== 'open')
  expect([stream.state, stream.received.endsWith('first\r\n')]).toEqual(['reset', true])
})

test.each<[how: string, leave: (socket: Socket) => void]>([
  ['is gone with its connection', (socket) => void socket.resetAndDestroy()],
  ['ends its connection', (socket) => void socket.end()],
  ['resets its request', (socket) => void socket.write(resetFrame(1, http2.constants.NGHTTP2_CANCEL))],
])(
  'half an upload does not look whole to a local server that has answered, when its visitor %s',
  async (_how, leave) => {
    const route = new ScriptedRoute()
    const { port } = await serve(route)
    const socket = connect(port)
    onTestFinished(() => void socket.destroy())
    let answered = (): void => {}
    const answer = new Promise<void>((resolve) => {
      answered = resolve
    })
    socket.on('data', (bytes) => {
      if (bytes.includes('early')) answered()
    })
    socket.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1, 'POST'), dataFrame(1, Buffer.from('half'))]))
    const { stream } = await route.leased(0)
    await stream.until(({ received }) => received.endsWith('\r\nhalf\r\n'))
    stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly')
    await answer
    leave(socket)
    await stream.until(({ state }) => state === 'reset')
    expect(stream.received).not.toContain('\r\n0\r\n')
  },
)

test('a local server that says nothing is 504', async () => {
  const route = new ScriptedRoute()
  const { port, wait } = await serve(route)
  const request = new SeenRequest(visit(port), {})
  await route.leased(0)
  wait(ORIGIN_FIRST_BYTE_MS + 2 * SWEEP_MS)
  await request.closed
  expect(request.status).toBe(504)
})

test('a visitor that does not read holds one window of one stream, and no other', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const session = visit(port)
  const slow = new SeenRequest(session, { ':path': '/slow' })
  slow.stream.pause()
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n')
  const head = stream.consumed
  for (let sent = 0; sent < 40; sent++) stream.answer('x'.repeat(32 * 1024))
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(stream.consumed - head).toBeLessThan(300 * 1024)
  const quick = new SeenRequest(session, { ':path': '/quick' })
  ;(await route.leased(1)).stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await quick.closed
  expect(quick.text).toBe('ok')
  slow.stream.resume()
  await until(() => stream.consumed > 40 * 32 * 1024)
})

test('a local server that does not read stops its visitor after a window', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const request = new SeenRequest(visit(port), { ':method': 'POST', 'content-length': '4000000' }, false)
  const { stream } = await route.leased(0)
  const write = stream.write.bind(stream)
  stream.write = (chunk) => {
    write(chunk)
    return false
  }
  request.stream.write(Buffer.alloc(4_000_000))
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(stream.received.length).toBeLessThan(300_000)
  stream.write = write
  stream.listener!.writable()
  await stream.until(({ received }) => received.length > 4_000_000)
})

test('a preface in pieces, with a request behind it in the same segment, is understood', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const raw = connect(port, '127.0.0.1')
  onTestFinished(() => void raw.destroy())
  for (const byte of PREFACE.subarray(0, 23)) {
    raw.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  raw.write(Buffer.concat([PREFACE.subarray(23), SETTINGS, headersFrame(1)]))
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => received.startsWith('GET / HTTP/1.1\r\nhost: demo.example.com'))
})

test('a preface with a large upload behind it in one segment is taken whole', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const raw = connect(port, '127.0.0.1')
  onTestFinished(() => void raw.destroy())
  const data = dataFrame(1, Buffer.alloc(0x4000, 'x'))
  raw.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1, 'POST'), data, data, data]))
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => (received.match(/x{16384}/g)?.length ?? 0) >= 3)
  raw.write(data)
  await stream.until(({ received }) => received.split('x').length > 4 * 0x4000)
})

test.each([
  'PRI * HTTP/2.0\r\nHost: demo.example.com\r\n\r\n',
  'GET / HTTP/2.0\r\nHost: demo.example.com\r\n\r\n',
  '\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
])('%j is no preface, and 505', async (text) => {
  const { port } = await serve(new ScriptedRoute())
  const raw = connect(port, '127.0.0.1')
  let heard = ''
  raw.on('data', (chunk) => {
    heard += chunk
  })
  for (const byte of text) raw.write(byte)
  await once(raw, 'close')
  expect(heard).toMatch(/^HTTP\/1.1 505 /)
})

test('a preface behind a request is no preface', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const raw = connect(port, '127.0.0.1')
  let heard = ''
  raw.on('data', (chunk) => {
    heard += chunk
  })
  raw.write('GET / HTTP/1.1\r\nHost: none.example.com\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  await once(raw, 'close')
  expect(heard.match(/HTTP\/1.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 505'])
})

test('PINGs that follow DATA are not counted, as gRPC clients send them while a response comes; others are', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const session = visit(port)
  const codes: number[] = []
  session.on('goaway', (code) => codes.push(code))
  const request = new SeenRequest(session, {})
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  const ping = (): Promise<boolean> =>
    new Promise((resolve) => {
      if (session.destroyed || !session.ping((error) => resolve(error === null))) resolve(false)
    })
  for (let count = 1; count <= 3 * H2_CONTROL_FRAMES_BURST; count++) {
    const received = once(request.stream, 'data')
    stream.answer('1\r\nx\r\n')
    await received
    expect(await ping()).toBe(true)
  }
  while (await ping());
  await until(() => session.destroyed)
  expect(codes).toEqual([http2.constants.NGHTTP2_ENHANCE_YOUR_CALM])
})

test('draining says GOAWAY, lets open streams end, and takes no new ones', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await serve(route)
  const session = visit(port)
  const request = new SeenRequest(session, {})
  const { stream } = await route.leased(0)
  const goaway = once(session, 'goaway')
  const drained = listener.drain(10_000)
  await goaway
  stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast')
  await request.closed
  expect(request).toMatchObject({ text: 'last', ended: true })
  await drained
  expect(listener.visitors).toBe(0)
})

test('draining cuts what is open when the grace is over', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await serve(route)
  const session = visit(port)
  const request = new SeenRequest(session, {})
  await route.leased(0)
  await listener.drain(50)
  await request.closed
  await route.leases[0]!.stream.until(({ state }) => state === 'reset')
  await until(() => listener.visitors === 0)
})

test('an idle connection is let go, one with a request is not', async () => {
  const route = new ScriptedRoute()
  const { port, listener, wait } = await serve(route)
  const session = visit(port)
  const request = new SeenRequest(session, {})
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  wait(VISITOR_IDLE_MS + 3 * SWEEP_MS)
  await new Promise((resolve) => setTimeout(resolve, 1.5 * SWEEP_MS))
  expect(session.destroyed).toBe(false)
  stream.answer('0\r\n\r\n')
  await request.closed
  wait(VISITOR_IDLE_MS + 3 * SWEEP_MS)
  await once(session, 'close')
  await until(() => listener.visitors === 0)
})

test('a visitor that ends its connection has left, and its requests with it', async () => {
  const route = new ScriptedRoute()
  const { port, listener } = await serve(route)
  const raw = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  raw.resume()
  raw.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1)]))
  const { stream } = await route.leased(0)
  raw.end()
  await stream.until(({ state }) => state === 'reset')
  await once(raw, 'close')
  await until(() => listener.visitors === 0)
})

test('no more than so many requests at once', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const session = visit(port)
  await once(session, 'remoteSettings')
  expect(session.remoteSettings.maxConcurrentStreams).toBe(H2_STREAMS_PER_VISITOR)
})

test('a visitor that takes back one request after the other is told to calm down', async () => {
  const route = new ScriptedRoute()
  const { port } = await serve(route)
  const session = visit(port)
  const goaway = once(session, 'goaway')
  await once(session, 'remoteSettings')
  for (let sent = 0; sent < 20 * H2_RESETS_BURST && !session.closed && !session.destroyed; sent++) {
    const stream = session.request({ ':authority': 'demo.example.com' })
    stream.on('error', () => {})
    stream.close(http2.constants.NGHTTP2_CANCEL)
    if (sent % 50 === 49) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect((await goaway)[0]).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM)
})

test('where a tunnel has no stream left, the request of whoever does not read gives way', async () => {
  let full = false
  const route = new ScriptedRoute((index) =>
    full && index === 1 ? { none: new TunnelFault('streams-exhausted') } : {},
  )
  const { port, wait } = await serve(route)
  const slow = new SeenRequest(visit(port), {})
  slow.stream.pause()
  const { stream } = await route.leased(0)
  stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n')
  for (let sent = 0; sent < 40; sent++) stream.answer('x'.repeat(32 * 1024))
  await new Promise((resolve) => setTimeout(resolve, 50))
  wait(SLOW_VISITOR_MS + 10)
  full = true
  const other = new SeenRequest(visit(port), {})
  await stream.until(({ state }) => state === 'reset')
  full = false
  void other
})
