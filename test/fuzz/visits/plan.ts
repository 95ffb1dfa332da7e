/** One case as it is drawn from its seed: who visits what, over which way, and what goes wrong. Knows nothing of how it comes out. */
import type { SeededRandom } from '../../support/seeded-random.ts'
import { bodyOf, chunked } from './wire.ts'

/** How a request comes in: `peer` is HTTP/1 to a node that forwards it to the node under test. */
type Inbound = 'http1' | 'http2' | 'peer'

export interface PlannedRequest {
  /** Within its case; the path is `/` and this. */
  readonly id: number
  readonly method: string
  readonly version: 10 | 11
  readonly connection: 'close' | 'keep-alive' | undefined
  readonly framing: 'none' | 'length' | 'chunked'
  readonly body: string
  /** Waits for 100 before its body, for a while. */
  readonly expect: boolean
  /** What it asks to go on with; '' for nothing else. */
  readonly upgrade: '' | 'talk' | 'websocket'
  /** A sign-in that belongs to its connection. */
  readonly signsIn: boolean
  /** The access policy refuses it. */
  readonly refused: boolean
  /** Its body breaks a rule on the way. */
  readonly broken: boolean
  /** As HTTP/1 has it. */
  readonly head: string
  readonly wireBody: string
}

/** How a visitor leaves before it has all that it came for. */
type Leaving = 'never' | 'resets' | 'closes' | 'half-closes' | 'stops-reading' | 'stops-sending'

export interface PlannedVisitor {
  readonly address: string
  readonly requests: readonly PlannedRequest[]
  /** Sends the next request before it has the response to the one before. */
  readonly pipelines: boolean
  /** Most bytes of one send and of one read. */
  readonly sendBytes: number
  readonly readBytes: number
  /** It reads once in so many of its turns. */
  readonly readsOnceIn: number
  readonly leaving: Leaving
  /** Turns of its own before it leaves. */
  readonly leavesAfter: number
  /** What stands behind its last request and is none. */
  readonly garbage: string
  /** What it says once an upgrade is granted. */
  readonly talk: string
  /** Bytes that its system takes before it reads. */
  readonly capacity: number
}

export interface Plan {
  readonly inbound: Inbound
  /** Nothing goes wrong that a visitor must see: every request is answered whole. */
  readonly benign: boolean
  readonly visitors: readonly PlannedVisitor[]
  readonly gate: 'none' | 'at-once' | 'takes-time'
  /** The tunnel's agent is away at first. */
  readonly away: boolean
  /** Lookups that take time. */
  readonly lookups: number
  /** They and others fail now and then. */
  readonly lookupsFail: boolean
  /** Visitors at once; 0: as many as come. */
  readonly places: number
  /** Streams at once through one channel. */
  readonly streams: number
  readonly window: number
  readonly backlog: number
  /** Local servers close kept connections. */
  readonly closesIdle: boolean
  /** How often a channel is replaced, lost, or refused by the node that had it. */
  readonly replaced: number
  readonly lost: number
  readonly stale: number
  /** Milliseconds that pass at most between two turns. */
  readonly pace: number
  readonly ends: 'never' | 'drain' | 'cut' | 'terminate' | 'disable-keep-alive' | 'fence' | 'peer-drain'
  readonly turns: number
}

const SIZES = [0, 1, 10, 100, 300, 1000, 3000] as const
const METHODS = ['GET', 'GET', 'GET', 'GET', 'POST', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'PATCH'] as const

/** A size for a body: nearly always small, so that a case is fast. */
export function size(random: SeededRandom): number {
  if (random.once(400)) return 66_000 + random.below(3000)
  if (random.once(40)) return 14_000 + random.below(6000)
  return random.below(SIZES[random.below(SIZES.length)]! + 1)
}

export function makePlan(random: SeededRandom): Plan {
  const draw = random.below(100)
  const inbound: Inbound = draw < 5 ? 'http2' : draw < 35 ? 'peer' : 'http1'
  const benign = random.once(2)
  const gate = random.pick(['none', 'none', 'at-once', 'takes-time'] as const)
  // Without rules a stream of another node is a connection to the local server: there is nothing to wait for.
  const limited = random.once(4) && !(benign && inbound === 'peer' && gate === 'none')
  const away = random.once(5)
  const onlyIdempotent = random.once(3)
  const mayHalfClose = !away && !limited
  let id = 0
  const visitor = (index: number): PlannedVisitor => {
    const requests: PlannedRequest[] = []
    for (let more = 1 + random.below(random.once(2) ? 5 : 2); more > 0; more--) {
      const last = more === 1
      requests.push(makeRequest(random, id++, { inbound, gate, last, benign, onlyIdempotent, limited }))
    }
    const wrong = benign ? !limited && random.once(6) : random.once(2)
    const leaving = wrong ? random.pick(LEAVINGS) : 'never'
    return {
      address: `192.0.2.${1 + (random.once(3) ? 0 : index)}`,
      requests,
      pipelines: random.once(2),
      sendBytes: random.pick([1, 7, 40, 500, 100_000, 100_000, 100_000]),
      readBytes: random.pick([1, 50, 1000, 100_000, 100_000]),
      readsOnceIn: random.pick([1, 1, 2, 8]),
      leaving: leaving === 'half-closes' && benign && !mayHalfClose ? 'never' : leaving,
      leavesAfter: random.below(30),
      garbage: !benign && random.once(10) ? random.pick(GARBAGE) : '',
      talk: random.once(2) ? bodyOf(`t${index}`, size(random)) : '',
      capacity: random.pick([30, 200, 2000, 65_536, 65_536, 65_536]),
    }
  }
  const visitors = Array.from({ length: 1 + random.below(random.once(2) ? 3 : 1) }, (_, index) => visitor(index))
  const idempotent = visitors.every(({ requests }) => requests.every(({ method }) => isIdempotent(method)))
  return {
    inbound,
    benign,
    visitors,
    gate,
    away,
    lookups: random.once(4) ? random.below(4) : 0,
    lookupsFail: !benign && random.once(10),
    places: !benign && random.once(20) ? 1 + random.below(2) : 0,
    streams: limited ? 1 + random.below(3) : 256,
    window: random.pick([200, 1000, 8000, 262_144, 262_144]),
    backlog: random.pick([1, 300, 2000, 65_536, 65_536]),
    closesIdle: (!benign || idempotent) && random.below(3) > 0,
    replaced: random.once(4) ? random.below(3) : 0,
    lost: !benign && random.once(4) ? 1 + random.below(2) : 0,
    stale: inbound === 'peer' && random.once(4) ? 1 + random.below(2) : 0,
    pace: benign ? 3 : random.pick([3, 3, 3, 400, 5000, 700_000]),
    ends: benign || !random.once(4) ? 'never' : random.pick(ENDS),
    turns: 20 + random.below(120),
  }
}

const LEAVINGS: readonly Leaving[] = ['resets', 'closes', 'half-closes', 'stops-reading', 'stops-sending']
const ENDS = ['drain', 'drain', 'cut', 'terminate', 'terminate', 'disable-keep-alive', 'fence', 'peer-drain'] as const
const GARBAGE = [
  '\x00\r\n\r\n',
  'GET',
  'GET / HTTP/9.9\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: x',
  'A B C\r\n',
  'PRI * HTTP/2.0\r\n\r\nS',
]

export const isIdempotent = (method: string): boolean => method !== 'POST' && method !== 'PATCH'

interface Place {
  readonly inbound: Inbound
  readonly gate: Plan['gate']
  readonly last: boolean
  readonly benign: boolean
  readonly onlyIdempotent: boolean
  readonly limited: boolean
}

function makeRequest(random: SeededRandom, id: number, place: Place): PlannedRequest {
  let method: string = random.pick(METHODS)
  if (place.onlyIdempotent && !isIdempotent(method)) method = 'PUT'
  const http2 = place.inbound === 'http2'
  const version = !http2 && random.once(8) ? 10 : 11
  const upgrades = !http2 && place.last && version === 11 && random.once(8)
  const upgrade = upgrades ? random.pick(['talk', 'websocket'] as const) : ''
  if (upgrades) method = 'GET'
  const bodied = !upgrades && (method === 'POST' || method === 'PUT' || method === 'PATCH' || random.once(20))
  const framing = !bodied ? 'none' : version === 11 && random.once(2) ? 'chunked' : 'length'
  const body = bodied ? bodyOf(`q${id}`, size(random)) : ''
  const expect = bodied && version === 11 && body.length > 0 && random.once(8)
  // Its stream is its visitor's alone until that leaves: where streams are few, the others wait.
  const signsIn = !upgrades && random.once(25) && !(place.benign && (place.limited || http2))
  const wireBody = framing === 'chunked' ? chunked(random, body) : body
  const broken = !place.benign && !http2 && framing === 'chunked' && random.once(12)
  const connection =
    http2 || upgrades ? undefined : random.pick([undefined, undefined, undefined, 'close', 'keep-alive'] as const)
  const lines = [
    `${method} /${id} HTTP/${version === 11 ? '1.1' : '1.0'}`,
    'Host: demo.example.com',
    ...(framing === 'length' ? [`Content-Length: ${body.length}`] : []),
    ...(framing === 'chunked' ? ['Transfer-Encoding: chunked'] : []),
    ...(expect ? ['Expect: 100-continue'] : []),
    ...(signsIn ? ['Authorization: NTLM abc'] : []),
    ...(upgrades ? ['Connection: Upgrade', `Upgrade: ${upgrade}`] : []),
    ...(connection === undefined ? [] : [`Connection: ${connection}`]),
  ]
  return {
    id,
    method,
    version,
    connection,
    framing,
    body,
    expect,
    upgrade,
    signsIn,
    refused: place.gate !== 'none' && random.once(6),
    head: `${lines.join('\r\n')}\r\n\r\n`,
    broken,
    wireBody: broken ? wireBody.replace('\r\n', '?\r\n') : wireBody,
  }
}
