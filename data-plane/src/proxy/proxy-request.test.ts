/** Every state of a request against everything that can happen to it. */
import type { Subdomain } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { CookieFence, RequestHeadParser } from '@postern/protocol/http'
import { ORIGIN_FIRST_BYTE_MS, STREAM_WAIT_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { Sought } from '../dispatch/sought.ts'
import { Away, type WaitingRoom } from '../dispatch/waiting-room.ts'
import { ScriptedTunnel } from '../testing/scripted-tunnel.ts'
import type { Downstream, Ending } from './downstream.ts'
import { ProxyRequest } from './proxy-request.ts'

const STATES = ['lookup', 'authorising', 'held', 'deferred', 'queued', 'sending', 'answered'] as const
type StateName = (typeof STATES)[number]

/** What the request did, in order: `write`, `done`, `probe`, `leave` (what it waited in), `end` (of its stream's writing). */
class Recorded implements Downstream {
  readonly clientAddress = '192.0.2.1'
  readonly addressKey = '192.0.2.1'
  readonly mayWait = true
  readonly mayKeepAlive = true
  readonly bindsStreams = true
  readonly log: string[] = []
  taken = true
  reading = false
  deferring = false

  defer(): (() => void) | undefined {
    return this.deferring ? () => this.log.push('leave') : undefined
  }

  write(bytes: Buffer): boolean {
    const [, status] = bytes.toString('latin1').split(' ')
    this.log.push(`write ${status} ${/tunnel-error: (\S+)/.exec(bytes.toString('latin1'))?.[1] ?? ''}`.trim())
    return this.taken
  }

  done(ending: Ending): void {
    this.log.push(`done ${ending}`)
  }

  probe(): void {
    this.log.push('probe')
  }

  progressed(): boolean {
    return this.reading
  }

  endWriting(): void {}
  setReading(): void {}
  putBack(): void {}
  expireIn(): void {}
}

const never = new Promise<never>(() => {})

/** A request in that state. */
function requestIn(kind: StateName) {
  const clock = { ms: 1000 }
  const downstream = new Recorded()
  const { log } = downstream
  const gate = { request: {}, response: () => ({}), judge: () => never }
  const tunnel = new ScriptedTunnel(
    kind === 'queued' ? 0 : 9,
    () => clock.ms,
    kind === 'authorising' ? gate : undefined,
  )
  const room = { enter: () => () => log.push('leave') } as unknown as WaitingRoom
  const found = {
    lookup: new Sought(never),
    held: new Away(room, 'demo' as Subdomain),
    answered: new TunnelFault('tunnel-not-found'),
    authorising: tunnel.route,
    deferred: tunnel.route,
    queued: tunnel.route,
    sending: tunnel.route,
  }[kind]
  const records: string[] = []
  const request = new ProxyRequest(
    downstream,
    {
      dispatcher: {
        find(_host, addressKey) {
          expect(addressKey).toBe(downstream.addressKey)
          return found
        },
      },
      proto: 'https',
      cookies: new CookieFence('example.com'),
      records: { begun: () => {}, over: ({ end, fault }) => records.push(`${end} ${fault ?? '-'}`) },
      newRequestId: () => 'r1',
      failed: () => {},
    },
    { now: () => clock.ms },
  )
  downstream.deferring = kind === 'deferred'
  downstream.taken = kind !== 'answered'
  const bytes = Buffer.from('GET / HTTP/1.1\r\nHost: demo.example.com\r\n\r\n')
  request.begin(new RequestHeadParser().parse(bytes, 0, bytes.length)!, bytes.length, 'HTTP/1.1')
  expect(log).toEqual(kind === 'answered' ? ['write 404 tunnel-not-found'] : [])
  log.length = 0
  downstream.taken = true
  return { request, downstream, log, records, clock, tunnel }
}

type Stand = ReturnType<typeof requestIn>

const EVENTS = {
  'the visitor leaves': ({ request }) => request.visitorGone(),
  'the visitor ends its side': ({ request }) => request.visitorEnded(),
  'the visitor is cut off': ({ request }) => request.abort(new TunnelFault('request-invalid')),
  'code throws': ({ request }) => request.fail(new TunnelFault('internal-error')),
  'its deadline comes': ({ request }) => request.expire(),
  'its deadline comes late': ({ request, clock }) => {
    clock.ms += Math.max(STREAM_WAIT_MS, ORIGIN_FIRST_BYTE_MS)
    request.expire()
  },
  'its deadline comes while the visitor reads': ({ request, downstream }) => {
    downstream.reading = true
    request.expire()
    downstream.reading = false
  },
  'a drain begins': ({ request }) => request.stopWaiting(),
  'its stream is needed': ({ request }) => request.evict(new TunnelFault('streams-exhausted')),
  'the node stops': ({ request }) => request.terminate(),
  'the visitor has taken all': ({ request }) => request.drained(),
  'a stream may be free': ({ tunnel }) => tunnel.route.queue.sweep(),
  'its place is needed': ({ request, tunnel }) => tunnel.route.queue.displace(0) || request.displaced(),
} satisfies Record<string, (stand: Stand) => unknown>

type EventName = keyof typeof EVENTS

/** What it does then. Where nothing stands, nothing. */
const THEN: Record<StateName, Partial<Record<EventName, readonly string[]>>> = {
  lookup: {
    'the visitor leaves': ['done abandoned', 'abandoned -'],
    'the visitor is cut off': ['done abandoned', 'cut request-invalid'],
    'code throws': ['write 500 internal-error', 'done keep-alive', 'refused internal-error'],
    'its deadline comes': ['write 503 store-unavailable', 'done keep-alive', 'refused store-unavailable'],
    'its deadline comes while the visitor reads': [
      'write 503 store-unavailable',
      'done keep-alive',
      'refused store-unavailable',
    ],
    'its deadline comes late': ['write 503 store-unavailable', 'done keep-alive', 'refused store-unavailable'],
  },
  authorising: {
    'the visitor leaves': ['done abandoned', 'abandoned -'],
    'the visitor is cut off': ['done abandoned', 'cut request-invalid'],
    'code throws': ['write 500 internal-error', 'done keep-alive', 'refused internal-error'],
    'its deadline comes': ['write 503 visitor-checks-busy', 'done keep-alive', 'refused visitor-checks-busy'],
    'its deadline comes while the visitor reads': [
      'write 503 visitor-checks-busy',
      'done keep-alive',
      'refused visitor-checks-busy',
    ],
    'its deadline comes late': ['write 503 visitor-checks-busy', 'done keep-alive', 'refused visitor-checks-busy'],
  },
  held: {
    'the visitor leaves': ['leave', 'done abandoned', 'abandoned -'],
    'the visitor ends its side': ['leave', 'write 503 tunnel-offline', 'done close', 'refused tunnel-offline'],
    'the visitor is cut off': ['leave', 'done abandoned', 'cut request-invalid'],
    'code throws': ['leave', 'write 500 internal-error', 'done keep-alive', 'refused internal-error'],
    'its deadline comes': ['probe'],
    'its deadline comes while the visitor reads': ['probe'],
    'its deadline comes late': ['probe'],
    'a drain begins': ['leave', 'write 503 tunnel-offline', 'done keep-alive', 'refused tunnel-offline'],
    'its place is needed': ['write 503 tunnel-offline', 'done close', 'refused tunnel-offline'],
  },
  deferred: {
    'the visitor leaves': ['leave', 'done abandoned', 'abandoned -'],
    'the visitor ends its side': ['leave', 'write 503 tunnel-offline', 'done close', 'refused tunnel-offline'],
    'the visitor is cut off': ['leave', 'done abandoned', 'cut request-invalid'],
    'code throws': ['leave', 'write 500 internal-error', 'done keep-alive', 'refused internal-error'],
    'its deadline comes': ['probe'],
    'its deadline comes while the visitor reads': ['probe'],
    'its deadline comes late': ['probe'],
    'a drain begins': ['leave', 'write 503 tunnel-offline', 'done keep-alive', 'refused tunnel-offline'],
  },
  queued: {
    'the visitor leaves': ['done abandoned', 'abandoned -'],
    'the visitor ends its side': ['write 503 streams-exhausted', 'done close', 'refused streams-exhausted'],
    'the visitor is cut off': ['done abandoned', 'cut request-invalid'],
    'code throws': ['write 500 internal-error', 'done keep-alive', 'refused internal-error'],
    'its deadline comes': ['probe'],
    'its deadline comes while the visitor reads': ['probe'],
    'its deadline comes late': ['write 503 streams-exhausted', 'done keep-alive', 'refused streams-exhausted'],
    'a drain begins': ['write 503 streams-exhausted', 'done keep-alive', 'refused streams-exhausted'],
    'its place is needed': ['write 503 streams-exhausted', 'done close', 'refused streams-exhausted'],
  },
  sending: {
    'the visitor leaves': ['done abandoned', 'abandoned -'],
    'the visitor is cut off': ['done abandoned', 'cut request-invalid'],
    'code throws': ['write 500 internal-error', 'done keep-alive', 'refused internal-error'],
    'its deadline comes late': ['write 504 origin-timeout', 'done keep-alive', 'refused origin-timeout'],
    'its stream is needed': ['write 503 streams-exhausted', 'done close', 'refused streams-exhausted'],
    'the node stops': ['write 503 server-draining', 'done keep-alive', 'refused server-draining'],
  },
  answered: {
    'the visitor leaves': ['done abandoned', 'abandoned tunnel-not-found'],
    'the visitor is cut off': ['done abandoned', 'abandoned request-invalid'],
    'code throws': ['done cut', 'cut tunnel-not-found'],
    'its deadline comes': ['done cut', 'cut tunnel-not-found'],
    'its deadline comes late': ['done cut', 'cut tunnel-not-found'],
    'the visitor has taken all': ['done keep-alive', 'refused tunnel-not-found'],
  },
}

const CASES = STATES.flatMap((kind) => (Object.keys(EVENTS) as EventName[]).map((event) => [kind, event] as const))

test.each(CASES)('%s: %s', (kind, event) => {
  const stand = requestIn(kind)
  EVENTS[event](stand)
  const { request, log, records, tunnel } = stand
  const expected = THEN[kind][event] ?? []
  const over = expected.some((line) => line.startsWith('done'))
  // The record is closed just before the downstream is told.
  expect([...log, ...records]).toEqual(expected)
  expect(request.active).toBe(!over)
  const has = over ? 0 : 1
  expect([tunnel.route.users.size, tunnel.open]).toEqual(kind === 'sending' ? [has, has] : [0, 0])
  expect(tunnel.route.queue.size).toBe(kind === 'queued' ? has : 0)
  // Whatever comes afterwards changes nothing.
  if (!over) return
  for (const late of Object.values(EVENTS)) late(stand)
  expect([...log, ...records]).toEqual(expected)
})

test('a tunnel that has moved is explained by where it is now, and a channel that was lost by itself', async () => {
  for (const [why, explained] of [
    ['tunnel-moved', 'tunnel-not-found'],
    ['channel-lost', 'channel-lost'],
  ] as const) {
    const tunnel = new ScriptedTunnel(1)
    const found = [tunnel.route, new TunnelFault('tunnel-not-found')]
    const downstream = new Recorded()
    const request = new ProxyRequest(
      downstream,
      {
        dispatcher: { find: () => found.shift()! },
        proto: 'https',
        cookies: new CookieFence('example.com'),
        records: { begun: () => {}, over: () => {} },
        newRequestId: () => 'r1',
        failed: () => {},
      },
      { now: () => 0 },
    )
    const bytes = Buffer.from('GET / HTTP/1.1\r\nHost: demo.example.com\r\n\r\n')
    request.begin(new RequestHeadParser().parse(bytes, 0, bytes.length)!, bytes.length, 'HTTP/1.1')
    const fault = new TunnelFault(why)
    tunnel.takeFailure = () => ({ fault, unsent: true, next: 'elsewhere' }) as never
    tunnel.streams[0]!.listener!.reset(fault)
    await Promise.resolve()
    expect(downstream.log[0]).toContain(explained)
  }
})
