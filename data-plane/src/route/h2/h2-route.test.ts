import { once } from 'node:events'
import http, { createServer as createHttp1Server } from 'node:http'
import http2, {
  type Http2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { CookieFence } from '@postern/protocol/http'
import {
  H2_PING_MS,
  H2_PONG_MS,
  H2_SESSION_IDLE_MS,
  H2_SESSIONS_PER_TUNNEL,
  H2_STREAM_WINDOW_BYTES,
  LINGER_MS,
} from '@postern/protocol/limits'
import type { RawStream, StreamListener } from '@postern/protocol/mux'
import { afterEach, expect, test } from 'vitest'
import { Dispatcher } from '../../dispatch/dispatcher.ts'
import { PublicListener } from '../../inbound/public-listener.ts'
import { RequestIds } from '../../proxy/request-ids.ts'
import { Browser } from '../../testing/browser.ts'
import { dataFrame, frame, resetFrame, SETTINGS } from '../../testing/h2-frames.ts'
import { SocketStream } from '../socket-stream.ts'
import { H2Route } from './h2-route.ts'

const cleanups: (() => void | Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Handler = (stream: ServerHttp2Stream, fields: http2.IncomingHttpHeaders) => void

/** A local server that speaks HTTP/2 in clear, and the sessions that it has. */
async function origin(handle: Handler, options: ServerOptions = {}) {
  const server: Http2Server = http2.createServer(options)
  const sessions: ServerHttp2Session[] = []
  server.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => {})
  })
  server.on('stream', (stream, fields) => {
    stream.on('error', () => {})
    handle(stream, fields)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sessions }
}

/** A route whose streams are connections to this port, as an agent would make them. */
function routeTo(port: number, failure?: { fault: TunnelFault; unsent: boolean }) {
  let ahead = 0
  const sockets: Socket[] = []
  let streams = 0
  const route = new H2Route(
    {
      openStream: () => {
        const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
        sockets.push(socket)
        cleanups.push(() => void socket.destroy())
        streams += 1
        return Object.assign(new SocketStream(socket), { id: 2 * streams }) as RawStream
      },
      takeFailure: () => failure,
    },
    () => performance.now() + ahead,
  )
  const wait = (ms: number): void => {
    ahead += ms
  }
  return { route, sockets, wait }
}

/** The public side in front of it. */
async function serve(route: H2Route) {
  const faults: string[] = []
  const listener = new PublicListener({
    proxyProtocol: 'off',
    now: () => performance.now(),
    context: {
      dispatcher: new Dispatcher({
        base: 'example.com',
        routes: { get: (name: Subdomain) => (name === ('demo' as Subdomain) ? route : undefined), isAway: () => false },
        apex: undefined,
      }),
      proto: 'https',
      cookies: new CookieFence('example.com'),
      newRequestId: new RequestIds('0123456789ab').next,
      failed: (_id, fault) => faults.push(fault.code),
      records: { begun: () => {}, over: () => {} },
    },
    crashed: expect.unreachable,
    refused: () => {},
  })
  const server = listener.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => listener.drain(0))
  return { port: (server.address() as AddressInfo).port, faults }
}

async function stand(handle: Handler, options?: ServerOptions) {
  const { port: originPort, sessions } = await origin(handle, options)
  const { route, sockets, wait } = routeTo(originPort)
  const { port, faults } = await serve(route)
  return { port, faults, route, sockets, wait, sessions }
}

interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly trailers: NodeJS.Dict<string>
  readonly body: string
}

/** A visitor by HTTP/1.1. */
async function ask(port: number, options: http.RequestOptions = {}, body?: string): Promise<Answer> {
  const request = http.request({
    port,
    host: '127.0.0.1',
    headers: { host: 'demo.example.com', ...options.headers },
    ...options,
    agent: false,
  })
  request.end(body)
  request.on('error', () => {})
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  return { status: response.statusCode!, headers: response.headers, trailers: response.trailers, body: text }
}

function visit(port: number, options: http2.ClientSessionOptions = {}) {
  const session = http2.connect(`http://127.0.0.1:${port}`, options)
  session.on('error', () => {})
  cleanups.push(() => session.destroy())
  return session
}

const bodyOf = async (stream: AsyncIterable<Buffer>): Promise<string> => {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}

test('a request of HTTP/1.1 reaches a local server of HTTP/2, and its answer comes back', async () => {
  const seen: http2.IncomingHttpHeaders[] = []
  const { port } = await stand(async (stream, fields) => {
    seen.push(fields)
    const body = await bodyOf(stream)
    stream.respond({ ':status': 201, 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] })
    stream.end(`${fields[':method']} ${fields[':path']} ${body}`)
  })
  const { status, headers, body } = await ask(
    port,
    {
      method: 'PUT',
      path: '/a?b',
      headers: {
        host: 'demo.example.com',
        'content-length': '4',
        'x-own': '1',
        te: 'trailers',
        connection: 'x-hop, te',
        'x-hop': '1',
      },
    },
    'text',
  )
  expect([status, body, headers['set-cookie']]).toEqual([201, 'PUT /a?b text', ['a=1', 'b=2']])
  expect(seen[0]).toMatchObject({
    ':authority': 'demo.example.com',
    ':scheme': 'http',
    'content-length': '4',
    'x-own': '1',
    te: 'trailers',
    'x-forwarded-proto': 'https',
    'postern-request-id': 'p91dwr-00',
    via: '1.1 postern',
  })
  for (const gone of ['host', 'connection', 'x-hop', 'transfer-encoding']) expect(seen[0]).not.toHaveProperty(gone)
})

test('requests share a session, side by side, and the answers are not mixed up', async () => {
  const { port, sockets } = await stand((stream, fields) => {
    setTimeout(() => {
      stream.respond({ ':status': 200 })
      stream.end(String(fields[':path']))
    }, Math.random() * 30)
  })
  await ask(port)
  const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => ask(port, { path: `/${index}` })))
  expect(answers.map(({ body }) => body)).toEqual(answers.map((_, index) => `/${index}`))
  expect(sockets).toHaveLength(1)
})

test('a session takes no more requests than the local server says, others are opened, and the rest waits', async () => {
  let most = 0
  const open = new Map<unknown, number>()
  let full = Promise.resolve()
  const { port, sockets, route } = await stand(
    async (stream) => {
      const { session } = stream
      open.set(session, (open.get(session) ?? 0) + 1)
      most = Math.max(most, open.get(session)!)
      await Promise.all([full, delay(50)])
      open.set(session, open.get(session)! - 1)
      stream.respond({ ':status': 200 })
      stream.end('ok')
    },
    { settings: { maxConcurrentStreams: 2 } },
  )
  await ask(port)
  const answers = await Promise.all(Array.from({ length: 6 }, () => ask(port)))
  expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200))
  expect(most).toBeLessThanOrEqual(2)
  expect(sockets.length).toBeGreaterThanOrEqual(3)
  let release: () => void = () => {}
  full = new Promise((resolve) => {
    release = resolve
  })
  const crowd = Array.from({ length: 2 * H2_SESSIONS_PER_TUNNEL + 40 }, () => ask(port))
  await expect.poll(() => route.queue.size).toBe(40)
  release()
  const served = await Promise.all(crowd)
  expect(new Set(served.map(({ status }) => status))).toEqual(new Set([200]))
  expect([most, route.queue.size, route.users.size]).toEqual([2, 0, 0])
})

test('where the local server says later that it takes more, those that wait are served within a sweep', async () => {
  const { port, route, sessions } = await stand(
    async (stream, fields) => {
      if (fields[':path'] === '/held') return
      stream.respond({ ':status': 200 })
      stream.end('ok')
    },
    { settings: { maxConcurrentStreams: 1 } },
  )
  await ask(port)
  const held = visit(port)
  for (let n = 1; n <= H2_SESSIONS_PER_TUNNEL; n += 1) {
    held.request({ ':authority': 'demo.example.com', ':path': '/held' })
    await expect.poll(() => [route.users.size, sessions.length], { interval: 5 }).toEqual([n, n])
  }
  const waiting = ask(port)
  await expect.poll(() => route.queue.size).toBe(1)
  await new Promise<void>((resolve) => sessions[0]!.settings({ maxConcurrentStreams: 9 }, () => resolve()))
  route.sweep()
  expect((await waiting).status).toBe(200)
})

test('a sign-in that belongs to a connection is not sent by one that others share', async () => {
  const seen: unknown[] = []
  const { port, route } = await stand((stream, fields) => {
    seen.push(fields[':path'])
    stream.respond({ ':status': 401, 'www-authenticate': 'Negotiate' })
    stream.end()
  })
  const offered = await ask(port, { path: '/offered' })
  expect([offered.status, offered.headers['www-authenticate']]).toEqual([401, 'Negotiate'])
  const headers = { host: 'demo.example.com', authorization: 'Negotiate YII=' }
  const refused = await ask(port, { path: '/signed', headers })
  expect([refused.status, refused.headers['tunnel-error']]).toEqual([505, 'connection-sign-in'])
  // Nor does a 401 that offers it make a stream the visitor's own.
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n\r\n`
  const visitor = new Browser(port).send(get('/1') + get('/2'))
  await visitor.until(({ text }) => text.split('HTTP/1.1 401').length === 3)
  expect([seen, route.users.size]).toEqual([['/offered', '/1', '/2'], 0])
})

test('visitors of HTTP/2 get trailers but those that may not stand there, interim responses and the end as the local server sent them', async () => {
  const { port } = await stand((stream, fields) => {
    stream.additionalHeaders({ ':status': 103, link: '</a.css>' })
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': '0', 'postern-request-id': '1', 'grpc-message': String(fields['x-own']) }),
    )
    stream.on('trailers', (trailers) => {
      stream.write(`trailers ${trailers['x-check']}`)
    })
    stream.on('data', (chunk) => stream.write(chunk))
    stream.on('end', () => stream.end())
  })
  const stream = visit(port).request(
    { ':authority': 'demo.example.com', ':method': 'POST', te: 'trailers', 'x-own': 'hi' },
    { waitForTrailers: true },
  )
  const seen: unknown[] = []
  stream.on('headers', (headers) => seen.push(headers[':status']))
  stream.on('response', (headers) => seen.push(headers[':status']))
  stream.on('trailers', (headers) => seen.push(Object.entries(headers)))
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-forwarded-for': '10.0.0.1', 'x-check': '42' }))
  stream.write('ping')
  const [echo] = await once(stream, 'data')
  expect(String(echo)).toBe('ping')
  stream.end()
  expect(await bodyOf(stream)).toBe('trailers 42')
  expect(seen).toEqual([
    103,
    200,
    [
      ['grpc-status', '0'],
      ['grpc-message', 'hi'],
    ],
  ])
})

test('trailers that HTTP/2 forbids are dropped in both directions, and the rest passes', async () => {
  const seen: unknown[] = []
  const { port } = await stand((stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }))
    stream.on('trailers', (trailers) => seen.push(Object.entries(trailers)))
    stream.on('end', () => stream.end('ok'))
    stream.resume()
  })
  const request = http.request({
    port,
    host: '127.0.0.1',
    method: 'POST',
    headers: { host: 'demo.example.com', 'transfer-encoding': 'chunked', 'http2-settings': 'AAAA' },
    agent: false,
  })
  request.addTrailers({ 'HTTP2-Settings': 'AAAA', 'X-Check': '42' })
  request.end('hi')
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  expect([response.statusCode, await bodyOf(response)]).toEqual([200, 'ok'])
  expect(seen).toEqual([[['x-check', '42']]])
})

test('an exception while a response is passed on resets its stream, and the session goes on', async () => {
  const { port: originPort } = await origin((stream, fields) => {
    stream.respond({ ':status': 200 })
    stream.end(String(fields[':path']))
  })
  const { route, sockets } = routeTo(originPort)
  const ask = (path: string, data: (chunk: Buffer) => void) =>
    new Promise<string>((resolve) => {
      const { stream } = route.lease('idle')
      stream.listen({ data, end: () => resolve('end'), writable() {}, reset: (why) => resolve(why.code) })
      stream.write(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n\r\n`))
    })
  const failing = ask('/failing', () => {
    throw new Error('a defect')
  })
  expect(await failing).toBe('internal-error')
  const { stream } = route.lease('idle')
  let text = ''
  stream.listen({
    data: (chunk) => {
      text += chunk
      stream.consume(chunk.length)
    },
    end() {},
    writable() {},
    reset() {},
  })
  stream.write(Buffer.from('GET /next HTTP/1.1\r\nHost: demo.example.com\r\n\r\n'))
  await expect.poll(() => text).toContain('0\r\n\r\n')
  expect(text).toContain('/next')
  expect(sockets).toHaveLength(1)
})

test.each([
  ['breaks the protocol', [frame(0, 0, 0, Buffer.from('x'))]],
  ['breaks the protocol after GOAWAY', [frame(7, 0, 0, Buffer.alloc(8, 1)), frame(0, 0, 0, Buffer.from('x'))]],
  ['answers nothing', []],
])('a session whose local server %s ends, and its requests with it', async (_how, frames) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.resume()
    socket.write(Buffer.concat([SETTINGS, ...frames]))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => void server.close())
  const { route, sockets, wait } = routeTo((server.address() as AddressInfo).port)
  const reasons: string[] = []
  const { stream } = route.lease('idle')
  stream.listen({ data() {}, end() {}, writable() {}, reset: (why) => reasons.push(why.code) })
  stream.write(Buffer.from('GET / HTTP/1.1\r\nHost: demo.example.com\r\n\r\n'))
  await expect
    .poll(() => {
      wait(H2_PONG_MS)
      route.sweep()
      return reasons
    })
    .toEqual(['origin-closed'])
  await expect
    .poll(() => {
      route.sweep()
      return sockets[0]!.destroyed
    })
    .toBe(true)
})

test('a quiet session is checked by SETTINGS: a gRPC server would end one that sends PINGs', async () => {
  const { port, route, sessions, wait } = await stand((stream) => stream.respond({ ':status': 200 }))
  const stream = visit(port).request({ ':authority': 'demo.example.com' })
  stream.on('error', () => {})
  await once(stream, 'response')
  const received: string[] = []
  sessions[0]!.on('ping', () => received.push('PING'))
  sessions[0]!.on('remoteSettings', () => received.push('SETTINGS'))
  await expect
    .poll(() => {
      wait(H2_PING_MS)
      route.sweep()
      return received.slice(0, 4)
    })
    .toEqual(['SETTINGS', 'SETTINGS', 'SETTINGS', 'SETTINGS'])
  expect(stream.closed).toBe(false)
})

test('a response that is whole by its length and never ends is reset after a while, and its place is free', async () => {
  const streams: ServerHttp2Stream[] = []
  const { port, route, wait } = await stand((stream) => {
    streams.push(stream)
    stream.respond({ ':status': 200, 'content-length': '2' })
    stream.write('ok')
  })
  expect(await ask(port, { path: '/slow' })).toMatchObject({ status: 200, body: 'ok' })
  route.sweep()
  expect([route.idleStreams, streams[0]!.closed]).toEqual([0, false])
  streams[0]!.end()
  await expect.poll(() => route.idleStreams).toBe(1)
  expect(await ask(port, { path: '/never' })).toMatchObject({ status: 200, body: 'ok' })
  const closed = once(streams[1]!, 'close')
  wait(LINGER_MS + 1)
  route.sweep()
  await closed
  expect(route.idleStreams).toBe(1)
  expect(streams.map(({ rstCode }) => rstCode)).toEqual([0, http2.constants.NGHTTP2_CANCEL])
})

test('a response that is only a head ends with it', async () => {
  const { port } = await stand((stream) => stream.respond({ ':status': 200, 'grpc-status': '12' }, { endStream: true }))
  const stream = visit(port).request({ ':authority': 'demo.example.com', ':method': 'POST' }, { endStream: false })
  const [headers, flags] = await once(stream, 'response')
  expect(headers).toMatchObject({ ':status': 200, 'grpc-status': '12' })
  expect(flags & http2.constants.NGHTTP2_FLAG_END_STREAM).not.toBe(0)
  stream.close()
})

test.each([
  ['HEAD', 200],
  ['GET', 204],
  ['GET', 304],
])('%s answered %i has no body for a visitor of HTTP/1.1', async (method, code) => {
  const { port } = await stand((stream) =>
    stream.respond({ ':status': code, ...(code === 200 && { 'content-length': '5' }) }, { endStream: true }),
  )
  const { status, body, headers } = await ask(port, { method })
  expect([status, body]).toEqual([code, ''])
  expect(headers['content-length']).toBe(code === 200 ? '5' : undefined)
  expect(headers['transfer-encoding']).toBeUndefined()
})

test('a visitor that takes its request back is told to the local server by a reset of that stream alone', async () => {
  const streams: ServerHttp2Stream[] = []
  const { port, sessions } = await stand((stream) => {
    streams.push(stream)
    stream.respond({ ':status': 200 })
    stream.write('begin')
  })
  const session = visit(port)
  const first = session.request({ ':authority': 'demo.example.com' })
  const second = session.request({ ':authority': 'demo.example.com' })
  await Promise.all([once(first, 'data'), once(second, 'data')])
  first.close(http2.constants.NGHTTP2_CANCEL)
  await Promise.race(streams.map((stream) => once(stream, 'close')))
  const gone = streams.find(({ closed }) => closed)!
  expect(gone.rstCode).toBe(http2.constants.NGHTTP2_CANCEL)
  streams.find((stream) => stream !== gone)!.end('end')
  expect(await bodyOf(second)).toBe('end')
  expect(sessions).toHaveLength(1)
  expect(sessions[0]!.destroyed).toBe(false)
})

test.each<[how: string, breakOff: (stream: ServerHttp2Stream) => void]>([
  ['is gone with its connection', ({ session }) => void session!.socket.destroy()],
  ['ends its session', ({ session }) => session!.destroy()],
  ['resets the response', (stream) => stream.close(http2.constants.NGHTTP2_CANCEL)],
])('half a response does not look whole when its local server %s', async (_how, breakOff) => {
  const { port } = await origin((stream) => {
    // Without trailers in prospect node:http2 would say END_STREAM before the reset.
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.write('half')
    stream.once('broken', () => breakOff(stream))
    streams.push(stream)
  })
  const streams: ServerHttp2Stream[] = []
  const { stream } = routeTo(port).route.lease('idle')
  let text = ''
  const over = new Promise<string>((resolve) => {
    stream.listen({
      data: (chunk) => {
        text += chunk
        stream.consume(chunk.length)
        if (text.includes('half')) streams[0]!.emit('broken')
      },
      end: () => resolve('end'),
      writable() {},
      reset: () => resolve('reset'),
    })
  })
  stream.write(Buffer.from('GET / HTTP/1.1\r\nHost: demo.example.com\r\n\r\n'))
  expect(await over).toBe('reset')
  expect(text).not.toContain('\r\n0\r\n')
})

test.each([
  ['1.1', 'before its head', 502],
  ['1.1', 'in its body', 'cut'],
  ['2', 'before its head', 502],
  ['2', 'in its body', 'cut'],
])('for a visitor of HTTP/%s a response that is reset %s is %s', async (version, where, outcome) => {
  const { port } = await stand((stream) => {
    if (where === 'in its body') {
      // Without trailers in prospect node:http2 would say END_STREAM before the reset.
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.write('half')
      setTimeout(() => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR), 20)
    } else stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR)
  })
  if (version === '1.1') {
    const asked = ask(port, { method: 'POST' }, 'x')
    if (outcome === 'cut') await expect(asked).rejects.toThrow()
    else expect((await asked).status).toBe(outcome)
    return
  }
  const stream = visit(port).request({ ':authority': 'demo.example.com', ':method': 'POST' })
  stream.on('error', () => {})
  const [headers] = await once(stream, 'response')
  let ended = false
  stream.on('end', () => {
    ended = true
  })
  stream.resume()
  await new Promise((resolve) => stream.on('close', () => resolve(undefined)))
  if (outcome === 'cut') expect([stream.rstCode, ended]).toEqual([http2.constants.NGHTTP2_INTERNAL_ERROR, false])
  else expect([headers[':status'], ended]).toEqual([outcome, true])
})

test('a response whose local server resets it without an error in its body is cut', async () => {
  const HEADERS = 1
  const END_HEADERS = 4
  const STATUS_200 = 0x88
  const server = createServer((socket) => {
    socket.once('data', () => {
      const head = frame(HEADERS, END_HEADERS, 1, Buffer.from([STATUS_200]))
      const body = dataFrame(1, Buffer.from('half'))
      socket.write(Buffer.concat([SETTINGS, head, body, resetFrame(1, http2.constants.NGHTTP2_NO_ERROR)]))
    })
    socket.on('error', () => {})
    cleanups.push(() => void socket.destroy())
  }).listen(0, '127.0.0.1')
  cleanups.push(() => void server.close())
  await once(server, 'listening')
  const { route } = routeTo((server.address() as AddressInfo).port)
  const { port } = await serve(route)
  await expect(ask(port)).rejects.toThrow()
})

test('what the local server refuses before it looks at it is sent again, whatever its method, and once', async () => {
  let asked = 0
  const { port } = await stand((stream) => {
    asked += 1
    if (asked === 1) return stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  })
  expect(await ask(port, { method: 'POST' }, 'body')).toMatchObject({ status: 200, body: 'body' })
  expect(asked).toBe(2)
})

test('what is always refused is 502 after the second time', async () => {
  let asked = 0
  const { port } = await stand((stream) => {
    asked += 1
    stream.close(http2.constants.NGHTTP2_REFUSED_STREAM)
  })
  expect(await ask(port, { method: 'POST' }, 'body')).toMatchObject({ status: 502 })
  expect(asked).toBe(2)
})

test('what GOAWAY leaves unprocessed goes to another session, and what it does not ends where it is', async () => {
  const waiting: ServerHttp2Stream[] = []
  let first = true
  const { port, sockets } = await stand((stream, fields) => {
    if (fields[':path'] === '/slow') return void waiting.push(stream)
    if (first) {
      first = false
      // As a server that stops: the stream that it has is finished, a later one was never looked at.
      stream.session!.goaway(http2.constants.NGHTTP2_NO_ERROR, waiting[0]!.id)
      return
    }
    stream.respond({ ':status': 200 })
    stream.end('elsewhere')
  })
  const slow = ask(port, { path: '/slow' })
  await expect.poll(() => waiting).toHaveLength(1)
  expect(await ask(port, { method: 'POST' }, 'x')).toMatchObject({ status: 200, body: 'elsewhere' })
  waiting[0]!.respond({ ':status': 200 })
  waiting[0]!.end('here')
  expect(await slow).toMatchObject({ body: 'here' })
  expect(sockets).toHaveLength(2)
})

test('an upgrade is refused with what is the matter', async () => {
  const { port } = await stand((stream) => stream.respond({ ':status': 200 }, { endStream: true }))
  const { status, headers } = await ask(port, {
    headers: { host: 'demo.example.com', connection: 'Upgrade', upgrade: 'websocket' },
  })
  expect([status, headers['tunnel-error']]).toEqual([501, 'upgrade-unsupported'])
})

test('a local server that speaks no HTTP/2 is 502 with what is the matter', async () => {
  const server = createHttp1Server((_request, response) => response.end('1.1')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => void server.close())
  const { port } = await serve(routeTo((server.address() as AddressInfo).port).route)
  const { status, headers } = await ask(port)
  expect([status, headers['tunnel-error']]).toEqual([502, 'origin-invalid'])
})

test('what an agent says of the connection is what visitors hear', async () => {
  const server = createServer((socket) => socket.resetAndDestroy()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => void server.close())
  const { route } = routeTo((server.address() as AddressInfo).port, {
    fault: new TunnelFault('origin-refused'),
    unsent: true,
  })
  const { port } = await serve(route)
  const { status, headers } = await ask(port, { method: 'POST' }, 'x')
  expect([status, headers['tunnel-error']]).toEqual([502, 'origin-refused'])
})

test('a visitor that does not read stops the local server after a window, and a body of 20 MB arrives whole', async () => {
  let written = 0
  const { port } = await stand((stream) => {
    stream.respond({ ':status': 200 })
    const piece = Buffer.alloc(64 * 1024, 'x')
    const more = (): void => {
      while (written < 20_000_000) {
        written += piece.length
        if (!stream.write(piece)) return void stream.once('drain', more)
      }
      stream.end()
    }
    more()
  })
  const stream = visit(port).request({ ':authority': 'demo.example.com' })
  await once(stream, 'response')
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(written).toBeLessThan(3_000_000)
  let read = 0
  for await (const chunk of stream) read += (chunk as Buffer).length
  expect(read).toBe(written)
})

test('what a visitor does not read is held, and let go with the request that has stood still the longest', async () => {
  const { port, route } = await stand((stream) => {
    stream.respond({ ':status': 200 })
    stream.write(Buffer.alloc(4_000_000))
  })
  const requests: http2.ClientHttp2Stream[] = []
  for (const count of [1, 2]) {
    // With a usual window of its own the visitor's system would take most of the window of the local server.
    const stream = visit(port, { settings: { initialWindowSize: 1024 } }).request({ ':authority': 'demo.example.com' })
    stream.on('error', () => {})
    requests.push(stream)
    await once(stream, 'response')
    await expect.poll(() => route.heldBytes).toBeGreaterThan((count * H2_STREAM_WINDOW_BYTES) / 2)
  }
  const before = route.heldBytes
  const gone = new Promise((resolve) => requests[0]!.on('close', resolve))
  expect(route.resetLongestStalled()).toBe(true)
  expect(route.heldBytes).toBeLessThan(before)
  requests[0]!.resume()
  await gone
  expect(requests[1]!.closed).toBe(false)
  expect([route.resetLongestStalled(), route.heldBytes]).toEqual([true, 0])
  expect(route.resetLongestStalled()).toBe(false)
})

test('an upload waits for a local server that does not read', async () => {
  let origin: ServerHttp2Stream | undefined
  const { port } = await stand((stream) => {
    origin = stream
  })
  const stream = visit(port).request({ ':authority': 'demo.example.com', ':method': 'POST' }, { endStream: false })
  let sent = 0
  const piece = Buffer.alloc(64 * 1024)
  const more = (): void => {
    while (sent < 8_000_000) {
      sent += piece.length
      if (!stream.write(piece)) return void stream.once('drain', more)
    }
    stream.end()
  }
  more()
  await expect.poll(() => origin).toBeDefined()
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(sent).toBeLessThan(2_000_000)
  let read = 0
  for await (const chunk of origin!) read += (chunk as Buffer).length
  expect(read).toBe(sent)
  origin!.respond({ ':status': 200 }, { endStream: true })
  await once(stream, 'response')
})

test('an idle session is let go after a while, and a retired route ends with its last request', async () => {
  const open: ServerHttp2Stream[] = []
  const { port, route, sockets, wait } = await stand((stream, fields) => {
    if (fields[':path'] === '/open') return void open.push(stream)
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  await ask(port)
  await expect.poll(() => route.idleStreams).toBe(1)
  wait(H2_SESSION_IDLE_MS + 1)
  route.sweep()
  await once(sockets[0]!, 'close')
  expect(route.idleStreams).toBe(0)
  const last = ask(port, { path: '/open' })
  await expect.poll(() => open).toHaveLength(1)
  route.retire()
  await new Promise((resolve) => setTimeout(resolve, 50))
  open[0]!.respond({ ':status': 200 })
  open[0]!.end('last')
  expect(await last).toMatchObject({ body: 'last' })
  await expect
    .poll(() => {
      route.sweep()
      return sockets[1]!.destroyed
    })
    .toBe(true)
})

test('a channel that is lost is what the requests of its sessions hear', async () => {
  const listeners: StreamListener[] = []
  const route = new H2Route(
    {
      openStream: () =>
        ({
          id: 2,
          listen: (listener: StreamListener) => void listeners.push(listener),
          write: () => true,
          end() {},
          reset() {},
          consume() {},
        }) as RawStream,
      takeFailure: () => undefined,
    },
    () => 0,
  )
  const lease = route.lease('idle')
  const reasons: string[] = []
  lease.stream.listen({ data() {}, end() {}, writable() {}, reset: (why) => reasons.push(why.code) })
  lease.stream.write(Buffer.from('GET / HTTP/1.1\r\nHost: demo.example.com\r\n\r\n'))
  listeners[0]!.reset(new TunnelFault('channel-lost'))
  await expect.poll(() => reasons).toEqual(['channel-lost'])
})
