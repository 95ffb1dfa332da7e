import { once } from 'node:events'
import http2, { type ClientHttp2Session } from 'node:http2'
import { connect } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import {
  H2_CONNECTION_WINDOW_BYTES,
  H2_STREAM_WINDOW_BYTES,
  HELD_PER_NAME,
  LOOKUP_ROUNDS,
  SWEEP_MS,
  VISITOR_IDLE_MS,
} from '@postern/protocol/limits'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Verdict } from '../../route/visitor-gate.ts'
import { dataFrame, frame, headersFrame, PREFACE, resetFrame, SETTINGS } from '../../testing/h2-frames.ts'
import { SeenRequest, until, visit } from '../../testing/h2-visitor.ts'
import { startPublicStand } from '../../testing/public-stand.ts'
import { ReturningTunnel } from '../../testing/returning-tunnel.ts'
import { guarded, ScriptedRoute } from '../../testing/scripted-route.ts'

/** A listener for a tunnel whose agent comes and goes as the test says, and a visitor of it. */
async function serve(options?: ConstructorParameters<typeof ReturningTunnel>[0]) {
  const tunnel = new ReturningTunnel(options)
  const stand = await startPublicStand(tunnel.dispatcher)
  return { tunnel, session: visit(stand.port), ...stand }
}

const ok = (body: string) => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const lost = () => new TunnelFault('channel-lost')
const PIECE = Buffer.alloc(16 * 1024, 'abcdefghijklmnop')
const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = http2.constants

/** Writes an upload piece by piece, and then its end; answers how much of it was taken when it first stands still. */
async function pour({ stream }: SeenRequest, length: number): Promise<number> {
  let taken = 0
  const pouring = async (): Promise<void> => {
    for (; taken < length; taken += PIECE.length)
      await new Promise<void>((resolve) => stream.write(PIECE, () => resolve()))
    stream.end()
  }
  void pouring()
  for (let before = 0; taken === 0 || taken !== before; ) {
    before = taken
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return taken
}

test('requests of one connection wait side by side, go through when the agent is back, and the connection goes on', async () => {
  const { tunnel, session, recorded } = await serve()
  const requests = ['/1', '/2'].map((path) => new SeenRequest(session, { ':path': path }))
  await tunnel.holding(2)
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  requests.push(new SeenRequest(session, { ':path': '/3' }))
  for (const index of [0, 1, 2]) {
    const { stream } = await route.leased(index)
    stream.answer(ok(stream.received.split(' ')[1]!))
  }
  for (const { closed } of requests) await closed
  expect(requests.map(({ status, text }) => `${status} ${text}`)).toEqual(['200 /1', '200 /2', '200 /3'])
  expect(recorded).toEqual(Array.from({ length: 3 }, () => 'HTTP/2.0 200 whole -'))
})

test('a small body that came meanwhile follows its head, with the trailers behind it', async () => {
  const { tunnel, session } = await serve()
  const stream = session.request({ ':method': 'POST', ':authority': 'demo.example.com' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-check': '42' }))
  stream.end('body')
  await tunnel.holding(1)
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  const { stream: arrived } = await route.leased(0)
  await arrived.until(({ received }) => received.endsWith('\r\n\r\n4\r\nbody\r\n0\r\nx-check: 42\r\n\r\n'))
  arrived.answer(ok('done'))
  const [head] = await once(stream, 'response')
  expect(head[':status']).toBe(200)
  stream.close()
})

test('trailers over 8 KiB of a request that waited are answered 431', async () => {
  const { tunnel, session, recorded } = await serve()
  const trailers = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`t-${n}`, 'g'.repeat(200)]))
  const stream = session.request({ ':method': 'POST', ':authority': 'demo.example.com' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers(trailers))
  stream.on('error', () => {})
  stream.end('body')
  await tunnel.holding(1)
  // What came before it has been read.
  await new Promise<void>((resolve) => session.ping(() => resolve()))
  tunnel.arrive(new ScriptedRoute())
  const [head] = await once(stream, 'response')
  stream.resume()
  expect(head[':status']).toBe(431)
  await until(() => recorded.length === 1)
})

test('a body without a byte that ends while its request waits is ended when it is sent', async () => {
  const { tunnel, session } = await serve()
  const upload = new SeenRequest(session, { ':method': 'POST' }, '')
  await tunnel.holding(1)
  await new Promise<void>((resolve) => session.ping(() => resolve()))
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  const { stream } = await route.leased(0)
  await stream.until(({ received }) => received.endsWith('\r\n\r\n0\r\n\r\n'))
  stream.answer(ok('empty'))
  await upload.closed
  expect(upload).toMatchObject({ status: 200, text: 'empty' })
})

test('a body whose beginning comes in the read of its head keeps its order', async () => {
  const { tunnel, port } = await serve()
  const raw = connect(port, '127.0.0.1')
  onTestFinished(() => void raw.destroy())
  let answered = Buffer.alloc(0)
  raw.on('data', (bytes: Buffer) => {
    answered = Buffer.concat([answered, bytes])
  })
  raw.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1, 'POST'), dataFrame(1, Buffer.from('first '))]))
  await tunnel.holding(1)
  raw.write(Buffer.concat([dataFrame(1, Buffer.from('second ')), frame(6, 0, 0, Buffer.alloc(8))]))
  // Behind the answer to a PING everything before it has been read.
  await until(() => answered.includes(Buffer.from([0, 0, 8, 6, 1])))
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  const { stream } = await route.leased(0)
  raw.write(dataFrame(1, Buffer.from('third')))
  await stream.until(({ received }) => received.includes('third'))
  expect(stream.received).toMatch(/first \r\n7\r\nsecond \r\n5\r\nthird\r\n$/)
})

test('of a body that waits a window is taken and no more; then all of it goes through', async () => {
  const { tunnel, session } = await serve()
  const length = 4 * 1024 * 1024
  const upload = new SeenRequest(session, { ':method': 'POST', 'content-length': length }, false)
  const taken = await pour(upload, length)
  expect(taken).toBeLessThanOrEqual(H2_STREAM_WINDOW_BYTES)
  expect(tunnel.size).toBe(1)
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  const { stream } = await route.leased(0)
  const from = stream.received.indexOf('\r\n\r\n') + 4
  await stream.until(({ received }) => received.length >= from + length)
  expect(stream.received.slice(from) === PIECE.toString('latin1').repeat(length / PIECE.length)).toBe(true)
  stream.answer(ok('whole'))
  await upload.closed
  expect(upload).toMatchObject({ status: 200, text: 'whole' })
})

test('uploads that wait delay no other request of their connection', async () => {
  const apex = new ScriptedRoute()
  const { tunnel, session } = await serve({ apex })
  const count = Math.ceil((2 * H2_CONNECTION_WINDOW_BYTES) / H2_STREAM_WINDOW_BYTES)
  const uploads = Array.from({ length: count }, () => new SeenRequest(session, { ':method': 'PUT' }, false))
  await Promise.all(uploads.map((upload) => pour(upload, 2 * H2_STREAM_WINDOW_BYTES)))
  expect(tunnel.size).toBe(count)
  const other = new SeenRequest(session, { ':authority': 'example.com', ':method': 'POST' }, 'x'.repeat(1024 * 1024))
  const { stream } = await apex.leased(0)
  await stream.until(({ received }) => received.endsWith('\r\n0\r\n\r\n'))
  stream.answer(ok('here'))
  await other.closed
  expect(other).toMatchObject({ status: 200, text: 'here' })
})

test('a body of which the first part came with its head is in order', async () => {
  const { tunnel, port } = await serve()
  const raw = connect(port, '127.0.0.1')
  onTestFinished(() => void raw.destroy())
  raw.resume()
  // In one segment: what comes with the head is there before the request is.
  raw.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1, 'POST'), dataFrame(1, Buffer.from('firstly'))]))
  await tunnel.holding(1)
  raw.write(dataFrame(1, Buffer.from('then')))
  await once(raw, 'data')
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  const { stream } = await route.leased(0)
  raw.write(frame(0, 1, 1, Buffer.from('last')))
  await stream.until(({ received }) => received.endsWith('0\r\n\r\n'))
  const body = stream.received.slice(stream.received.indexOf('\r\n\r\n') + 4)
  expect(body.replaceAll(/[0-9a-f]+\r\n|\r\n/g, '')).toBe('firstlythenlast')
})

test('100 Continue comes from the local server alone', async () => {
  const { tunnel, session } = await serve()
  const put = new SeenRequest(session, { ':method': 'PUT', expect: '100-continue', 'content-length': 4 }, false)
  await tunnel.holding(1)
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  const { stream } = await route.leased(0)
  expect(stream.received).toContain('expect: 100-continue\r\n')
  expect(put.interim).toEqual([])
  const goOn = once(put.stream, 'continue')
  stream.answer('HTTP/1.1 100 Continue\r\n\r\n')
  await goOn
  put.stream.end('body')
  await stream.until(({ received }) => received.endsWith('\r\n\r\nbody'))
  stream.answer(ok('put'))
  await put.closed
  expect(put).toMatchObject({ status: 200, text: 'put' })
})

describe('a visitor that leaves while its request waits', () => {
  test.each<[how: string, leave: (request: SeenRequest, session: ClientHttp2Session) => void]>([
    ['takes it back', ({ stream }) => stream.close(NGHTTP2_CANCEL)],
    ['takes it back without naming an error', ({ stream }) => stream.close(NGHTTP2_NO_ERROR)],
    ['ends its connection', (_request, session) => session.destroy()],
  ])('%s: its place is free, and nothing of it arrives', async (_how, leave) => {
    for (const body of [undefined, 'x', 'x'.repeat(2 * H2_STREAM_WINDOW_BYTES)]) {
      const { tunnel, port, recorded } = await serve()
      const session = visit(port)
      const request = new SeenRequest(session, { ':method': body === undefined ? 'GET' : 'POST' }, false)
      if (body === undefined) request.stream.end()
      else request.stream.write(body)
      await tunnel.holding(1)
      leave(request, session)
      await tunnel.holding(0)
      const route = new ScriptedRoute()
      tunnel.arrive(route)
      expect(recorded).toEqual(['HTTP/2.0 0 abandoned -'])
      expect(route.leases).toEqual([])
    }
  })

  test.each([
    ['CANCEL', NGHTTP2_CANCEL],
    ['NO_ERROR', NGHTTP2_NO_ERROR],
  ])('by RST_STREAM %s: its connection is let go when it is idle', async (_name, code) => {
    const { tunnel, session, listener, wait } = await serve()
    const request = new SeenRequest(session, { ':method': 'POST' }, false)
    request.stream.write('half')
    await tunnel.holding(1)
    // What was written is there before the request is taken back.
    await new Promise<void>((resolve) => session.ping(() => resolve()))
    request.stream.close(code)
    await tunnel.holding(0)
    await new Promise<void>((resolve) => session.ping(() => resolve()))
    wait(VISITOR_IDLE_MS + 3 * SWEEP_MS)
    await until(() => listener.visitors === 0)
  })
})

test('who takes a request back has the place of the next, in the same segment', async () => {
  const { tunnel, session, port, recorded } = await serve()
  const sessions = [session, visit(port)]
  const raw = connect(port, '127.0.0.1')
  onTestFinished(() => void raw.destroy())
  raw.resume()
  raw.write(Buffer.concat([PREFACE, SETTINGS, headersFrame(1, 'POST'), dataFrame(1, Buffer.from('half'))]))
  await tunnel.holding(1)
  for (let others = 1; others < HELD_PER_NAME; others += 1) new SeenRequest(sessions[others % 2]!, {})
  await tunnel.holding(HELD_PER_NAME)
  raw.write(Buffer.concat([resetFrame(1, NGHTTP2_CANCEL), headersFrame(3)]))
  await until(() => recorded.length > 0)
  const route = new ScriptedRoute()
  tunnel.arrive(route)
  await route.leased(HELD_PER_NAME - 1)
  expect(recorded).toEqual(['HTTP/2.0 0 abandoned -'])
})

describe('when the time is over', () => {
  test('a request is answered 503 with Retry-After, and its connection goes on', async () => {
    const { tunnel, session, recorded } = await serve({ holdMs: 150 })
    const began = performance.now()
    const request = new SeenRequest(session, { accept: 'application/json' })
    await request.closed
    expect(performance.now() - began).toBeGreaterThanOrEqual(149)
    expect([request.status, request.headers['tunnel-error']]).toEqual([503, 'tunnel-offline'])
    expect(request.headers['retry-after']).toMatch(/^\d+$/)
    expect(request.headers['server-timing']).toMatch(/^hold;dur=\d/)
    expect(JSON.parse(request.text).code).toBe('tunnel-offline')
    expect([request.ended, request.stream.rstCode]).toEqual([true, NGHTTP2_NO_ERROR])
    expect([tunnel.size, recorded]).toEqual([0, ['HTTP/2.0 503 refused tunnel-offline']])
    const again = new SeenRequest(session, {})
    await tunnel.holding(1)
    const route = new ScriptedRoute()
    tunnel.arrive(route)
    ;(await route.leased(0)).stream.answer(ok('back'))
    await again.closed
    expect(again.text).toBe('back')
  })

  test('one whose body still comes reads the answer to its end, and the rest of the body goes nowhere', async () => {
    const { tunnel, session } = await serve({ holdMs: 150 })
    const upload = new SeenRequest(session, { ':method': 'POST' }, false)
    upload.stream.end(Buffer.alloc(2 * 1024 * 1024))
    await upload.closed
    expect(upload).toMatchObject({ status: 503, ended: true })
    expect([upload.stream.rstCode, tunnel.size]).toEqual([NGHTTP2_NO_ERROR, 0])
  })

  test('because the task drains, all are answered at once, behind a GOAWAY', async () => {
    const { tunnel, session, listener } = await serve()
    const [request, upload] = [
      new SeenRequest(session, {}),
      new SeenRequest(session, { ':method': 'POST' }, 'x'.repeat(1000)),
    ]
    await tunnel.holding(2)
    const goaway = once(session, 'goaway')
    const drained = listener.drain(5000)
    expect((await goaway)[0]).toBe(NGHTTP2_NO_ERROR)
    for (const visitor of [request, upload]) {
      await visitor.closed
      expect([visitor.status, visitor.headers['tunnel-error']]).toEqual([503, 'tunnel-offline'])
      expect(visitor.headers).toHaveProperty('retry-after')
      expect(visitor.headers).not.toHaveProperty('connection')
    }
    await drained
    expect(tunnel.size).toBe(0)
  })
})

describe('a request whose channel goes', () => {
  test('before a byte of the response came waits for the next one, as often as a tunnel is looked for, if it is a GET', async () => {
    const { tunnel, session, faults } = await serve()
    const heads: string[] = []
    let request: SeenRequest | undefined
    for (let sent = 0; sent <= LOOKUP_ROUNDS; sent++) {
      const route = new ScriptedRoute()
      tunnel.arrive(route)
      request ??= new SeenRequest(session, { ':path': '/moved' })
      const { stream } = await route.leased(0)
      heads.push(stream.received)
      stream.listener?.reset(lost())
      tunnel.leave()
      if (sent < LOOKUP_ROUNDS) await tunnel.holding(1)
    }
    await request!.closed
    expect(new Set(heads)).toEqual(new Set([expect.stringContaining('GET /moved')]))
    expect([request!.status, request!.headers['tunnel-error']]).toEqual([502, 'channel-lost'])
    expect(faults).toEqual(['channel-lost'])
  })

  test('in this very moment goes to another one of the name, a POST too', async () => {
    const { tunnel, session, faults } = await serve()
    const second = new ScriptedRoute()
    // The channel is over, and its name has not heard of it yet.
    tunnel.arrive(
      new ScriptedRoute(() => {
        queueMicrotask(() => tunnel.arrive(second))
        return { none: new TunnelFault('channel-closed') }
      }),
    )
    const request = new SeenRequest(session, { ':method': 'POST' }, 'body')
    const { stream } = await second.leased(0)
    await stream.until(({ received }) => received.includes('body'))
    stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
    await request.closed
    expect([request.status, request.text]).toEqual([200, 'done'])
    expect(faults).toEqual([])
  })

  test('is not sent a second time if it is a POST', async () => {
    const { tunnel, session } = await serve()
    const route = new ScriptedRoute()
    tunnel.arrive(route)
    const request = new SeenRequest(session, { ':method': 'POST' }, 'body')
    const { stream } = await route.leased(0)
    await stream.until(({ received }) => received.endsWith('0\r\n\r\n'))
    stream.listener?.reset(lost())
    tunnel.leave()
    await request.closed
    expect([request.headers['tunnel-error'], tunnel.size, route.leases.length]).toEqual(['channel-lost', 0, 1])
  })
})

describe('the rules of the channel that comes count', () => {
  const stranger = () => new TunnelFault('visitor-unauthorised')

  test.each<[when: string, verdict: () => Verdict | Promise<Verdict>]>([
    ['at once', stranger],
    ['later', async () => stranger()],
  ])(
    'for those that waited: what is refused %s costs no stream, and its connection goes on',
    async (_when, verdict) => {
      const { tunnel, session } = await serve()
      const secret = new SeenRequest(session, { ':path': '/secret' })
      const upload = new SeenRequest(session, { ':method': 'POST' }, 'x'.repeat(3 * H2_STREAM_WINDOW_BYTES))
      const open = new SeenRequest(session, { ':path': '/open' })
      await tunnel.holding(3)
      const route = guarded((path) => (path === '/open' ? undefined : verdict()))
      tunnel.arrive(route)
      ;(await route.leased(0)).stream.answer(ok('in'))
      await open.closed
      expect(open).toMatchObject({ status: 200, text: 'in' })
      for (const refused of [secret, upload]) {
        await refused.closed
        expect(refused).toMatchObject({ status: 401, ended: true })
        expect(refused.headers['www-authenticate']).toBe('Basic realm="tunnel", charset="UTF-8"')
      }
      expect(route.leases).toHaveLength(1)
      expect(route.leases[0]!.stream.received).toMatch(/^GET \/open /)
    },
  )

  test('for a body that waited: it follows its head once the verdict is there', async () => {
    const { tunnel, session } = await serve()
    const upload = new SeenRequest(session, { ':method': 'POST', 'content-length': 8 }, false)
    upload.stream.write('half')
    await tunnel.holding(1)
    let say: (verdict: Verdict) => void = () => {}
    const route = guarded(() => new Promise((resolve) => (say = resolve)))
    tunnel.arrive(route)
    upload.stream.end('half')
    await new Promise<void>((resolve) => session.ping(() => resolve()))
    expect(route.leases).toEqual([])
    say(undefined)
    const { stream } = await route.leased(0)
    await stream.until(({ received }) => received.endsWith('\r\n\r\nhalfhalf'))
    stream.answer(ok('whole'))
    await upload.closed
    expect(upload.text).toBe('whole')
  })

  test('and a request that is taken back while it is judged costs no stream', async () => {
    const { tunnel, session, recorded } = await serve()
    const verdicts: ((verdict: Verdict) => void)[] = []
    const route = guarded(() => new Promise((resolve) => verdicts.push(resolve)))
    tunnel.arrive(route)
    const request = new SeenRequest(session, {})
    await until(() => verdicts.length === 1)
    request.stream.close(NGHTTP2_CANCEL)
    await until(() => recorded.length === 1)
    verdicts[0]!(undefined)
    await new Promise((resolve) => setImmediate(resolve))
    expect([route.leases, recorded]).toEqual([[], ['HTTP/2.0 0 abandoned -']])
  })
})

test('heads are changed as the gate says', async () => {
  const { tunnel, session } = await serve()
  const route = new ScriptedRoute()
  route.gate = {
    judge: () => ({
      request: { host: 'localhost:3000', removed: new Set(['authorization', 'cookie']), extraLines: 'X-Added: 1\r\n' },
      response: ({ scheme, authority }) => ({
        removed: new Set(['server']),
        extraLines: 'X-Also: 2\r\n',
        mend: { location: () => `${scheme}://${authority}/mended`, cookie: (value) => `${value}; mended` },
      }),
    }),
  }
  tunnel.arrive(route)
  const request = new SeenRequest(session, { authorization: 'Basic eA==', cookie: ['a=1', 'b=2'], 'x-own': '1' })
  const { stream } = await route.leased(0)
  expect(stream.received).toMatch(/^GET \/ HTTP\/1\.1\r\nhost: localhost:3000\r\nx-own: 1\r\nX-Forwarded-For: /i)
  expect(stream.received).toContain('X-Forwarded-Host: demo.example.com\r\n')
  expect(stream.received).toContain('X-Added: 1\r\n')
  expect(stream.received).not.toMatch(/cookie|authorization/i)
  stream.answer(
    'HTTP/1.1 301 Moved Permanently\r\nServer: own\r\nLocation: http://localhost:3000/\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n',
  )
  await request.closed
  expect(request.headers).toMatchObject({
    ':status': 301,
    location: 'https://demo.example.com/mended',
    'set-cookie': ['a=1; mended'],
    'x-also': '2',
  })
  expect(request.headers).not.toHaveProperty('server')
})
