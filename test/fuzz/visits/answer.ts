/** What a local server does with one request, drawn beforehand. Knows nothing of streams. */
import type { SeededRandom } from '../../support/seeded-random.ts'
import { type Plan, type PlannedRequest, size } from './plan.ts'
import { bodyOf, chunked, framed } from './wire.ts'

export interface Answer {
  /** Begins before the request is whole, when it is, or never. */
  readonly begins: 'early' | 'whole' | 'never'
  /** Interim responses before it, each a whole head. */
  readonly interims: readonly number[]
  readonly status: number
  /** After 101: what the server sends from then on. */
  readonly body: string
  /** The end of the body is that of the connection. */
  readonly byClose: boolean
  /** All of it but the interim responses. */
  readonly wire: string
  /** Index behind its head. */
  readonly headEnd: number
  /** After so many bytes of `wire` (all: none is missing) the server does that. */
  readonly stopsAt: number
  readonly afterwards: 'keeps' | 'ends' | 'resets'
  /** The connection may carry another request. */
  readonly keepAlive: boolean
  /** Bytes behind the response that belong to none. */
  readonly excess: string
  /** Asks for a sign-in that belongs to its connection. */
  readonly offers: boolean
  /** Breaks a rule of HTTP/1.1. */
  readonly invalid: boolean
}

const STATUSES = [200, 200, 200, 200, 201, 204, 304, 404, 500, 301] as const

export function makeAnswer(random: SeededRandom, plan: Plan, request: PlannedRequest, attempt: number): Answer {
  const { benign } = plan
  if (request.upgrade !== '' && random.below(4) > 0) return upgraded(random, plan, request, attempt)
  const declines = request.expect && random.once(3)
  const offers = offersSignIn(random, plan, request)
  const status = offers ? 401 : declines ? 417 : random.pick(STATUSES)
  const version = random.once(8) ? '1.0' : '1.1'
  const bodyless = request.method === 'HEAD' || status === 204 || status === 304
  const body = bodyless ? '' : bodyOf(`a${request.id}.${attempt}`, size(random))
  const framings = version === '1.0' ? FRAMINGS_10 : request.version === 10 ? CODED_10 : FRAMINGS
  const framing = bodyless ? 'none' : random.pick(framings)
  const keeps = framing !== 'close' && version === '1.1' && request.version === 11 && random.below(4) > 0
  const lines = [
    `HTTP/${version} ${status} Text`,
    `X-Attempt: ${request.id}.${attempt}`,
    ...(framing === 'length' ? [`Content-Length: ${body.length}`] : []),
    ...(framing === 'chunked' ? ['Transfer-Encoding: chunked'] : []),
    ...(offers ? ['WWW-Authenticate: NTLM'] : []),
    ...(status === 200 && request.method === 'HEAD' && random.once(2) ? ['Content-Length: 12345'] : []),
    ...(keeps ? (random.once(8) ? ['Keep-Alive: timeout=2'] : []) : version === '1.1' ? ['Connection: close'] : []),
  ]
  const head = `${lines.join('\r\n')}\r\n\r\n`
  const trailers = random.once(4) ? 'X-Trailer: t\r\n' : ''
  const whole = head + (framing === 'chunked' ? chunked(random, body, trailers) : body)
  const wrong = !benign && random.once(3)
  const invalid = wrong && random.once(5)
  const wire = invalid ? whole.replace(/^HTTP\/1\../, random.pick(['HTTP/7.1', 'HTML', 'HTTP/1.1 99'])) : whole
  const cut = wrong && !invalid && random.below(3) > 0
  const never = wrong && !invalid && !cut && random.once(2)
  const hints = interims(random, request, declines, benign)
  const last = framing !== 'close' && mayReset(plan) && random.once(6) ? 'resets' : 'ends'
  return {
    begins: never ? 'never' : declines || random.once(8) ? 'early' : 'whole',
    interims: hints,
    status,
    body,
    byClose: framing === 'close',
    wire,
    headEnd: head.length,
    stopsAt: cut ? random.below(wire.length) : wire.length,
    afterwards: cut || never ? random.pick(['ends', 'resets', 'keeps'] as const) : keeps ? 'keeps' : last,
    keepAlive: keeps,
    excess: keeps && !benign && !cut && !never && random.once(15) ? 'excess' : '',
    offers,
    invalid,
  }
}

/** Where nothing is read on the way through another node, a reset behind a response overtakes what has not passed yet. */
export const mayReset = ({ benign, inbound, gate }: Plan): boolean => !(benign && inbound === 'peer' && gate === 'none')

const FRAMINGS = ['length', 'length', 'chunked', 'chunked', 'close'] as const
/** Some answer in chunks whoever asks. */
const CODED_10 = ['length', 'close', 'close', 'chunked'] as const
const FRAMINGS_10 = ['length', 'close'] as const

function interims(random: SeededRandom, request: PlannedRequest, declines: boolean, benign: boolean): number[] {
  if (!benign && random.once(100)) return Array.from({ length: 20 }, () => 103)
  const hints = random.once(10) ? [103] : []
  return request.expect && !declines ? [100, ...hints] : hints
}

function upgraded(random: SeededRandom, plan: Plan, request: PlannedRequest, attempt: number): Answer {
  const head = `HTTP/1.1 101 Text\r\nX-Attempt: ${request.id}.${attempt}\r\nConnection: Upgrade\r\nUpgrade: ${request.upgrade}\r\n\r\n`
  const talk = bodyOf(`s${request.id}`, size(random))
  const spliced = request.upgrade === 'websocket' ? framed(random, talk) : talk
  const cut = !plan.benign && random.once(3)
  const wire = head + spliced
  return {
    begins: 'whole',
    interims: [],
    status: 101,
    body: spliced,
    byClose: true,
    wire,
    headEnd: head.length,
    stopsAt: cut ? random.below(wire.length) : wire.length,
    afterwards: cut ? random.pick(['ends', 'resets'] as const) : 'ends',
    keepAlive: false,
    excess: '',
    offers: false,
    invalid: false,
  }
}

/** As a connection's own it would keep a stream that others wait for; and HTTP/2 has none. */
function offersSignIn(random: SeededRandom, plan: Plan, request: PlannedRequest): boolean {
  if (plan.benign && (plan.streams < 256 || plan.inbound === 'http2')) return false
  return random.once(request.signsIn ? 2 : 60)
}
