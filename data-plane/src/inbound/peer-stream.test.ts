/** Requests that a peer forwards for a tunnel with rules: which stream of the tunnel each takes, and when the peer's stream ends. */
import { TunnelFault } from '@postern/protocol/fault'
import { CookieFence } from '@postern/protocol/http'
import { STREAM_WAIT_MS, SWEEP_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import { expect, onTestFinished, test } from 'vitest'
import type { Failure } from '../route/route.ts'
import type { Verdict, VisitorGate } from '../route/visitor-gate.ts'
import { ScriptedStream } from '../testing/scripted-route.ts'
import { ScriptedTunnel } from '../testing/scripted-tunnel.ts'
import { PeerStream } from './peer-stream.ts'
import { Sweeper } from './sweeper.ts'

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n${more}\r\n`
const SIGN_IN = 'Authorization: NTLM TlRMTVNTUAAB\r\n'
const answer = (status: string, body: string, more = '') =>
  `HTTP/1.1 ${status}\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`
const OFFER = answer('401 Unauthorized', 'who?', 'WWW-Authenticate: NTLM\r\n')

function setup(ceiling = 9) {
  const clock = { ms: 1000 }
  const now = (): number => clock.ms
  let verdict: Verdict
  const gate: VisitorGate = { judge: () => verdict }
  const tunnel = new ScriptedTunnel(ceiling, now, gate)
  const sweeper = new Sweeper(now, 1e9, (error) => expect.unreachable(String(error)))
  onTestFinished(() => sweeper.stop())
  const pass = (ms: number): void => {
    clock.ms += ms
    sweeper.sweep()
  }
  const failures: Failure[] = []
  /** What the peer opens, with the bytes that it sends first. */
  const forward = (bytes: string): ScriptedStream => {
    const stream = new ScriptedStream()
    const cookies = new CookieFence('example.com')
    const visitor = { visitorAddress: '192.0.2.1', requestId: 'r1' }
    const { listener } = new PeerStream(
      stream,
      visitor,
      tunnel.route,
      { proto: 'https', cookies, sweeper, failed: () => {}, now },
      (failure) => failures.push(failure),
    )
    stream.listen(listener)
    listener.data(Buffer.from(bytes, 'latin1'))
    return stream
  }
  /** From now on no request may pass. */
  const refuse = (): void => {
    verdict = new TunnelFault('visitor-not-allowed')
  }
  return { tunnel, forward, failures, pass, refuse }
}

test('a request has a stream of the peer for itself, and shares that of the tunnel', () => {
  const { tunnel, forward } = setup()
  const first = forward(get('/1'))
  tunnel.streams[0]!.answer(answer('200 OK', 'one'))
  expect([first.state, first.received.includes('\r\nConnection: close\r\n')]).toEqual(['ended', true])
  const second = forward(get('/2'))
  tunnel.streams[0]!.answer(answer('200 OK', 'two'))
  expect([second.received.endsWith('two'), tunnel.streams.length]).toEqual([true, 1])
})

test('an early answer that waits before the end of its stream leaves no request behind', () => {
  const { tunnel, forward } = setup()
  const upload = forward('PUT /1 HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 4\r\n\r\nbo')
  // The peer's window is used up; behind its end a stream reports no room.
  upload.write = () => false
  tunnel.streams[0]!.answer(answer('417 Expectation Failed', 'no'))
  tunnel.streams[0]!.endLocally()
  expect([upload.state, tunnel.route.users.size]).toEqual(['ended', 1])
  upload.listener!.data(Buffer.from('dy'))
  upload.listener!.end()
  expect([tunnel.open, tunnel.route.users.size]).toEqual([0, 0])
})

test.each(['POST', 'PATCH'])('a %s takes no stream that another visitor has used', (method) => {
  const { tunnel, forward } = setup()
  forward(get('/1'))
  tunnel.streams[0]!.answer(answer('200 OK', 'one'))
  forward(get('/2').replace('GET', method))
  expect([tunnel.streams.length, tunnel.streams[1]!.received.slice(0, method.length)]).toEqual([2, method])
})

test('a stream of the tunnel whose GET had a body carries no further request', () => {
  const { tunnel, forward } = setup()
  forward(`${get('/1', 'Content-Length: 5\r\n')}GET /x`.slice(0, -1))
  tunnel.streams[0]!.answer(answer('200 OK', 'one'))
  forward(get('/2'))
  expect([tunnel.streams.length, tunnel.streams[0]!.state]).toEqual([2, 'ended'])
})

test('the requests of a connection that signs in follow on one stream of the peer, and take one of the tunnel', () => {
  const { tunnel, forward, pass } = setup()
  const offered = forward(get('/offer'))
  tunnel.streams[0]!.answer(OFFER)
  expect([offered.state, tunnel.streams[0]!.state]).toEqual(['ended', 'ended'])
  const alice = forward(get('/negotiate', SIGN_IN))
  tunnel.streams[1]!.answer(OFFER)
  expect([alice.state, alice.received.includes('Connection: close')]).toEqual(['open', false])
  pass(VISITOR_IDLE_MS)
  for (const piece of [get('/authenticate', SIGN_IN), get('/next')].join('').match(/[\s\S]{1,7}/g)!)
    alice.listener!.data(Buffer.from(piece))
  tunnel.streams[1]!.answer(answer('200 OK', 'alice'))
  expect(tunnel.streams[1]!.received).toMatch(/ \/negotiate [\s\S]* \/authenticate [\s\S]* \/next /)
  const bob = forward(get('/bob'))
  expect([tunnel.streams.length, tunnel.streams[2]!.received.includes('/bob')]).toEqual([3, true])
  alice.listener!.end()
  tunnel.streams[1]!.answer(answer('200 OK', 'alice'))
  expect([alice.state, tunnel.streams[1]!.state, bob.state]).toEqual(['ended', 'ended', 'open'])
})

test.each<
  [how: string, peers: ScriptedStream['state'], end: (stream: ScriptedStream, pass: (ms: number) => void) => void]
>([
  // What its window does not hold of the response yet goes ahead of the end.
  ['the peer ends its stream', 'ended', (stream) => stream.listener!.end()],
  ['the peer resets its stream', 'reset', (stream) => stream.listener!.reset(new Error() as never)],
  ['nothing comes for long', 'reset', (_stream, pass) => pass(2 * VISITOR_IDLE_MS + 1e9 + SWEEP_MS)],
])('a stream of the tunnel that has signed in ends when %s', (_how, peers, end) => {
  const { tunnel, forward, pass, failures } = setup()
  const alice = forward(get('/negotiate', SIGN_IN))
  tunnel.streams[0]!.answer(answer('200 OK', 'alice'))
  expect([alice.state, tunnel.open]).toEqual(['open', 1])
  end(alice, pass)
  expect([tunnel.streams[0]!.state, tunnel.open, tunnel.route.users.size, failures]).toEqual(['reset', 0, 0, []])
  expect(alice.state).toBe(peers)
})

test.each<[how: string, next: string, code: string, reply?: string]>([
  ['whose next head is invalid', 'GET / HTTP/1.1\r\nHost : x\r\n\r\n', 'request-invalid'],
  ['whose next request is refused', get('/refused', SIGN_IN), 'visitor-not-allowed'],
  ['whose next response is the last', get('/last'), '', answer('200 OK', 'last', 'Connection: close\r\n')],
  [
    'whose next request asks for the last response',
    get('/last', 'Connection: close\r\n'),
    '',
    answer('200 OK', 'last'),
  ],
])('a connection %s leaves no stream of the tunnel behind', (_how, next, code, reply) => {
  const { tunnel, forward, failures, refuse } = setup()
  const alice = forward(get('/negotiate', SIGN_IN))
  tunnel.streams[0]!.answer(answer('200 OK', 'alice'))
  expect(tunnel.open).toBe(1)
  if (code === 'visitor-not-allowed') refuse()
  alice.listener!.data(Buffer.from(next))
  if (reply !== undefined) tunnel.streams[0]!.answer(reply)
  expect(failures.map(({ fault }) => fault.code)).toEqual(code === '' ? [] : [code])
  expect([tunnel.streams[0]!.state, tunnel.route.users.size]).toEqual([expect.not.stringMatching('open'), 0])
})

test('a request waits for a stream of the tunnel, and its fault goes back to the peer when it has none in time', async () => {
  const { tunnel, forward, failures, pass } = setup(1)
  forward(get('/1'))
  const second = forward(get('/2'))
  expect([tunnel.route.queue.size, second.received]).toEqual([1, ''])
  tunnel.streams[0]!.resetLocally()
  await new Promise((resolve) => setImmediate(resolve))
  expect(tunnel.streams[1]!.received).toContain('GET /2 ')
  forward(get('/3'))
  expect(tunnel.route.queue.size).toBe(1)
  pass(STREAM_WAIT_MS + 1e9 + SWEEP_MS)
  expect(failures.at(-1)).toMatchObject({ fault: { code: 'streams-exhausted' }, next: 'nowhere' })
  expect(tunnel.route.queue.size).toBe(0)
})

test('Max-Forwards that the peer has counted down to 0 is passed on', () => {
  const { tunnel, forward } = setup()
  const head = 'OPTIONS / HTTP/1.1\r\nHost: demo.example.com\r\nMax-Forwards: 0\r\n\r\n'
  forward(head)
  expect(tunnel.streams[0]!.received).toBe(head)
})

test('a body that comes in single bytes is passed on and credited', () => {
  const { tunnel, forward } = setup()
  const request = 'POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 5\r\n\r\n12345'
  const stream = forward(request[0]!)
  for (const byte of request.slice(1)) stream.listener!.data(Buffer.from(byte))
  expect([tunnel.streams[0]!.received, stream.consumed]).toEqual([request, request.length])
})

test('a request whose channel goes is given back to the peer, which sends it elsewhere', () => {
  const { tunnel, forward, failures } = setup()
  forward(get('/1'))
  tunnel.streams[0]!.listener!.reset(new TunnelFault('channel-lost'))
  expect(failures).toMatchObject([{ fault: { code: 'channel-lost' }, next: 'elsewhere' }])
  expect(tunnel.streams).toHaveLength(1)
})

test('a request that finds its channel gone is given back as well', () => {
  const { tunnel, forward, failures } = setup()
  tunnel.openStream = () => {
    throw new TunnelFault('channel-closed')
  }
  forward(get('/1'))
  expect(failures).toMatchObject([{ fault: { code: 'channel-closed' }, next: 'elsewhere' }])
})
