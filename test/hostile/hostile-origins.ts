/** What a local server can do wrong, each with the section it breaks or bends and what a visitor gets of it. Knows nothing of tunnels. */
import { once } from 'node:events'
import {
  CHUNK_LINE_BYTES,
  HEAD_FIELDS,
  RESPONSE_CHUNK_LINE_BYTES,
  RESPONSE_HEAD_BYTES,
  RESPONSE_HEAD_FIELDS,
  TRAILER_BYTES,
} from '@postern/protocol/limits'
import {
  DROPPED_TRAILERS,
  line,
  ODD_CHUNKS,
  REFUSED_CHUNKS,
  TOLERATED_CHUNKS,
  trailer,
} from '../../protocol/src/http/testing/refused-chunks.ts'
import { REFUSED_RESPONSES, TOLERATED_RESPONSES } from '../../protocol/src/http/testing/refused-responses.ts'
import type { RawConnection } from '../support/raw-connection.ts'

/** The connection of the local server, and the visitor's. */
interface Scene {
  readonly origin: RawConnection
  readonly visitor: RawConnection
  /** Resolves when the whole request has come. */
  whole(): Promise<unknown>
}

/** What the visitor gets: an answer of the local server, one of ours, or an answer that is cut. */
export type Outcome =
  | {
      readonly status: number
      readonly content: string
      readonly interim?: number
      /** Whether the visitor's connection carries another request. */
      readonly next: 'kept' | 'closed'
    }
  | { readonly fault: 'origin-invalid' | 'origin-closed'; readonly interim?: number }
  | 'cut'

export interface HostileOrigin {
  readonly title: string
  /** `HOST` stands for the tunnel's. */
  readonly request: string
  readonly act: (scene: Scene) => void | Promise<void>
  /** The next request comes only when the local server has done its worst, or it could not be told from an answer to that. */
  readonly idle?: boolean
  /** What the visitor still sends when it has the answer. */
  readonly afterwards?: string
  readonly outcome: Outcome
}

/** Longer than the way of an answer to its visitor, so that the connection is idle when more comes. */
const LATER_MS = 30
export const later = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, LATER_MS))

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'
const POISON = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
const HINT = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n'
const CHUNKED_HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

const GOOD: Outcome = { status: 200, content: 'good', next: 'kept' }
const INVALID: Outcome = { fault: 'origin-invalid' }
const CLOSED: Outcome = { fault: 'origin-closed' }

const asking = (startLine: string, lines: readonly string[] = [], body = ''): string =>
  [startLine, 'Host: HOST', ...lines, '', body].join('\r\n')

const GET = asking('GET /hostile HTTP/1.1')

/** Writes each of these at once. */
const says =
  (...pieces: readonly string[]): HostileOrigin['act'] =>
  ({ origin }) => {
    for (const piece of pieces) origin.write(piece)
  }

/** Writes the first, and the second when the visitor has the head that was made of the first. */
const saysBehind =
  (first: string, second: string): HostileOrigin['act'] =>
  async ({ origin, visitor }) => {
    origin.write(first)
    await visitor.saw('\r\n\r\n')
    origin.write(second)
  }

/** The same, when the visitor has had the answer for a while. */
const saysLater =
  (first: string, second: string): HostileOrigin['act'] =>
  async ({ origin, visitor }) => {
    origin.write(first)
    await visitor.saw('\r\n\r\n')
    await later()
    origin.write(second)
  }

const saysAndEnds =
  (text: string): HostileOrigin['act'] =>
  ({ origin }) =>
    origin.end(text)

/** Says the first, then the other without end. */
const saysForever =
  (first: string, other: string): HostileOrigin['act'] =>
  async ({ origin }) => {
    const piece = other.repeat(Math.ceil(16_384 / other.length))
    origin.write(first)
    const { socket } = origin
    while (origin.ending === 'open' && !socket.destroyed) {
      if (socket.write(piece)) await new Promise((resolve) => setImmediate(resolve))
      else await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => undefined)
    }
  }

const row = (title: string, act: HostileOrigin['act'], outcome: Outcome, request = GET): HostileOrigin => ({
  title,
  act,
  outcome,
  request,
})
/** One whose misdeed finds its connection idle. */
const idleRow = (...parts: Parameters<typeof row>): HostileOrigin => ({ ...row(...parts), idle: true })

const head = (...lines: readonly string[]): string => ['HTTP/1.1 200 OK', ...lines, '', ''].join('\r\n')
const headOfBytes = (bytes: number): string => {
  const empty = head('Content-Length: 4', 'X: ').length
  return `${head('Content-Length: 4', `X: ${'x'.repeat(bytes - empty)}`)}good`
}
const headOfFields = (fields: number): string =>
  `${head('Content-Length: 4', ...Array<string>(fields - 1).fill('X: x'))}good`
const trailerOfFields = (fields: number): string => `0\r\n${'X: x\r\n'.repeat(fields)}\r\n`

const UNASKED = [
  row('a second response with the first', says(OK + POISON), GOOD),
  row('a second response at once behind the first', says(OK, POISON), GOOD),
  idleRow('a second response while the connection is idle', saysLater(OK, POISON), GOOD),
  idleRow(
    '408 and an end while the connection is idle',
    async (scene) => {
      await saysLater(OK, 'HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n')(scene)
      scene.origin.end()
    },
    GOOD,
  ),
  row('a thousand responses with the first', says(OK + POISON.repeat(1000)), GOOD),
  row('responses without end behind the first', saysForever(OK, POISON), GOOD),
  row('an interim response behind the final one', says(OK + HINT), GOOD),
  row('a body longer than its length (RFC 9110 §8.6)', says(`${OK} and more`), GOOD),
  row('bytes behind the last chunk (RFC 9112 §7.1)', says(`${CHUNKED_HEAD}4\r\ngood\r\n0\r\n\r\n${POISON}`), GOOD),
  row(
    'a second response behind one that says close',
    says(OK.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n') + POISON),
    GOOD,
  ),
]

const BODILESS = [
  ...[
    ['204 No Content', ''],
    ['204 No Content', 'Content-Length: 6\r\n'],
    ['204 No Content', 'Transfer-Encoding: chunked\r\n'],
    ['304 Not Modified', 'Content-Length: 6\r\n'],
    ['304 Not Modified', 'Transfer-Encoding: chunked\r\n'],
    ['304 Not Modified', ''],
  ].flatMap(([status = '', fields = '']) => {
    const answer = `HTTP/1.1 ${status}\r\n${fields}\r\n`
    const outcome: Outcome = { status: Number(status.slice(0, 3)), content: '', next: 'kept' }
    return [
      row(`a body with ${status}, ${JSON.stringify(fields)} (RFC 9112 §6.3)`, says(`${answer}poison`), outcome),
      idleRow(
        `a body later than ${status}, ${JSON.stringify(fields)} (RFC 9112 §6.3)`,
        saysLater(answer, POISON),
        outcome,
      ),
    ]
  }),
  ...['Content-Length: 6\r\n', 'Transfer-Encoding: chunked\r\n', ''].flatMap((fields) => {
    const answer = `HTTP/1.1 200 OK\r\n${fields}\r\n`
    const outcome: Outcome = { status: 200, content: '', next: 'kept' }
    const request = asking('HEAD /hostile HTTP/1.1')
    return [
      row(
        `a body with the answer to HEAD, ${JSON.stringify(fields)} (RFC 9110 §9.3.2)`,
        says(`${answer}poison`),
        outcome,
        request,
      ),
      idleRow(
        `a body later than the answer to HEAD, ${JSON.stringify(fields)}`,
        saysLater(answer, POISON),
        outcome,
        request,
      ),
    ]
  }),
]

const INTERIM: readonly HostileOrigin[] = [
  ...[15, 16, 17, 10_000].map((count) =>
    row(`${count} interim responses`, says(HINT.repeat(count) + OK), { ...GOOD, interim: count }),
  ),
  row('a thousand interim responses and nonsense', says(`${HINT.repeat(1000)}what?\r\n\r\n`), {
    ...INVALID,
    interim: 1000,
  }),
  row('a thousand interim responses and an end', saysAndEnds(HINT.repeat(1000)), { ...CLOSED, interim: 1000 }),
  row(
    'a thousand interim responses to HTTP/1.0',
    says(HINT.repeat(1000) + OK),
    { ...GOOD, interim: 0, next: 'closed' },
    asking('GET /hostile HTTP/1.0'),
  ),
  row(
    'interim responses of every kind',
    says('HTTP/1.1 100 Continue\r\n\r\n', 'HTTP/1.1 102 Processing\r\n\r\n', 'HTTP/1.1 199 X\r\n\r\n', OK),
    { ...GOOD, interim: 3 },
  ),
  row(
    'interim responses to HTTP/1.0 (RFC 9110 §15.2)',
    says(HINT + HINT + OK),
    { ...GOOD, interim: 0, next: 'closed' },
    asking('GET /hostile HTTP/1.0'),
  ),
  row(
    'an interim response with a body (RFC 9110 §15.2)',
    says(`HTTP/1.1 103 Early Hints\r\nContent-Length: 6\r\n\r\npoison${OK}`),
    { ...INVALID, interim: 1 },
  ),
  row('an interim response and an end', saysAndEnds(HINT), { ...CLOSED, interim: 1 }),
  row(
    'an interim response that says close (RFC 9112 §9.6)',
    says(`HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n${OK}`),
    { ...GOOD, interim: 1 },
  ),
]

const UPGRADES: readonly HostileOrigin[] = [
  row(
    '101 to HTTP/1.0 (RFC 9110 §7.8)',
    says('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n'),
    INVALID,
    asking('GET /hostile HTTP/1.0', ['Connection: upgrade', 'Upgrade: a']),
  ),
  row(
    '101 to an upgrade that was not passed on (RFC 9113 §3.1)',
    says('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n'),
    INVALID,
    asking('GET /hostile HTTP/1.1', ['Connection: upgrade', 'Upgrade: h2c']),
  ),
]

const NO_RESPONSE: readonly HostileOrigin[] = [
  row('nothing but an end', saysAndEnds(''), CLOSED),
  row('nothing but a reset', ({ origin }) => origin.reset(), CLOSED),
  row('NULs', says('\0'.repeat(100)), INVALID),
  row('the answer of HTTP/0.9', saysAndEnds('<html>good</html>'), INVALID),
  row('a frame of HTTP/2', says('\0\0\x12\x04\0\0\0\0\0'), INVALID),
  row('a TLS alert', says('\x15\x03\x01\0\x02\x02\x28'), INVALID),
  row('the greeting of another protocol', says('SSH-2.0-OpenSSH_9.6\r\n'), INVALID),
  row('a request', says('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), INVALID),
  row('a head that breaks off by an end', saysAndEnds('HTTP/1.1 200 OK\r\nContent-Le'), CLOSED),
  row('fields without end (RFC 9110 §5.4)', saysForever('HTTP/1.1 200 OK\r\n', 'X: x\r\n'), INVALID),
  row('a value without end (RFC 9110 §5.5)', saysForever('HTTP/1.1 200 OK\r\nX: ', 'x'), INVALID),
  row('a name without end (RFC 9110 §5.1)', saysForever('HTTP/1.1 200 OK\r\n', 'x'), INVALID),
  row('a reason without end (RFC 9112 §4)', saysForever('HTTP/1.1 200 ', 'x'), INVALID),
]

const LENGTHS: readonly HostileOrigin[] = [
  row(
    'an end before its length is reached (RFC 9112 §8)',
    saysAndEnds('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort'),
    'cut',
  ),
  row(
    'an end before the greatest length',
    saysAndEnds('HTTP/1.1 200 OK\r\nContent-Length: 9007199254740991\r\n\r\nshort'),
    'cut',
  ),
  row('an end before the last chunk (RFC 9112 §8)', saysAndEnds(`${CHUNKED_HEAD}4\r\ngood\r\n`), 'cut'),
  row('an end within the last chunk', saysAndEnds(`${CHUNKED_HEAD}4\r\ngood\r\n0\r\n`), 'cut'),
  row('an end within a trailer', saysAndEnds(`${CHUNKED_HEAD}4\r\ngood\r\n0\r\nX: y\r\n`), 'cut'),
  row('a chunk larger than what comes', saysAndEnds(`${CHUNKED_HEAD}ffff\r\ngood`), 'cut'),
  row('a body delimited by the close alone (RFC 9112 §6.3)', saysAndEnds('HTTP/1.1 200 OK\r\n\r\ngood'), GOOD),
  row(
    'the same, of HTTP/1.0, with keep-alive claimed',
    saysAndEnds('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\ngood'),
    GOOD,
  ),
  row(
    'the same, to HTTP/1.0',
    saysAndEnds('HTTP/1.0 200 OK\r\n\r\ngood'),
    { ...GOOD, next: 'closed' },
    asking('GET /hostile HTTP/1.0', ['Connection: keep-alive']),
  ),
  row(
    'chunks to HTTP/1.0 (RFC 9112 §7.1)',
    says(`${CHUNKED_HEAD}2\r\ngo\r\n2\r\nod\r\n0\r\nX: y\r\n\r\n`),
    { ...GOOD, next: 'closed' },
    asking('GET /hostile HTTP/1.0', ['Connection: keep-alive']),
  ),
  row(
    'chunks that break off, to HTTP/1.0',
    saysAndEnds(`${CHUNKED_HEAD}2\r\ngo\r\n`),
    'cut',
    asking('GET /hostile HTTP/1.0'),
  ),
  row(
    'a length in HTTP/1.0, and keep-alive (RFC 9112 §9.3)',
    says('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\ngood'),
    GOOD,
  ),
  row('a status nobody knows (RFC 9110 §15)', says('HTTP/1.1 799 \r\nContent-Length: 4\r\n\r\ngood'), {
    ...GOOD,
    status: 799,
  }),
]

const LIMITS: readonly HostileOrigin[] = [
  ...([-1, 0, 1] as const).flatMap((beyond) => {
    const outcome = beyond > 0 ? INVALID : GOOD
    const chunked = (body: string): HostileOrigin['act'] => says(`${CHUNKED_HEAD}4\r\ngood\r\n${body}`)
    return [
      row(
        `a head of ${RESPONSE_HEAD_BYTES + beyond} bytes (RFC 9110 §5.4)`,
        says(headOfBytes(RESPONSE_HEAD_BYTES + beyond)),
        outcome,
      ),
      row(
        `a head of ${RESPONSE_HEAD_FIELDS + beyond} fields (RFC 9110 §5.4)`,
        says(headOfFields(RESPONSE_HEAD_FIELDS + beyond)),
        outcome,
      ),
      row(
        `a trailer section of ${TRAILER_BYTES + beyond} bytes (RFC 9112 §7.1.2)`,
        chunked(trailer(TRAILER_BYTES + beyond)),
        outcome,
      ),
      row(
        `a trailer section of ${HEAD_FIELDS + beyond} fields (RFC 9112 §7.1.2)`,
        chunked(trailerOfFields(HEAD_FIELDS + beyond)),
        outcome,
      ),
      row(
        `a chunk line of ${RESPONSE_CHUNK_LINE_BYTES + beyond} bytes (RFC 9112 §7.1.1)`,
        says(`${CHUNKED_HEAD}${line(RESPONSE_CHUNK_LINE_BYTES + beyond)}g\r\n3\r\nood\r\n0\r\n\r\n`),
        outcome,
      ),
      row(
        `a chunk line of ${CHUNK_LINE_BYTES + beyond} bytes, size alone (RFC 9112 §7.1)`,
        says(`${CHUNKED_HEAD}${'4'.padStart(CHUNK_LINE_BYTES - 2 + beyond, '0')}\r\ngood\r\n0\r\n\r\n`),
        outcome,
      ),
    ]
  }),
  row(
    'a trailer section without end',
    async (scene) => {
      await saysBehind(`${CHUNKED_HEAD}4\r\ngood\r\n0\r\n`, 'X: x\r\n')(scene)
      await saysForever('', 'X: x\r\n')(scene)
    },
    'cut',
  ),
]

const TRAILERS: readonly HostileOrigin[] = DROPPED_TRAILERS.flatMap(([title, field]) => {
  const body = `4\r\ngood\r\n0\r\n${field}\r\n\r\n`
  return [
    row(`${title}, with the head`, says(CHUNKED_HEAD + body), GOOD),
    row(`${title}, behind the head`, saysBehind(CHUNKED_HEAD, body), GOOD),
    row(`${title}, in pieces`, says(CHUNKED_HEAD, ...body), GOOD),
  ]
})

const UPLOAD = asking('POST /hostile HTTP/1.1', ['Content-Length: 10'], 'first')
const EARLY: readonly HostileOrigin[] = [
  { ...row('an answer before the body was read (RFC 9112 §9.3)', says(OK), GOOD, UPLOAD), afterwards: ' last' },
  {
    ...row(
      'an answer before the body was read, then another',
      async (scene) => {
        scene.origin.write(OK)
        await scene.whole()
        scene.origin.write(POISON)
      },
      GOOD,
      UPLOAD,
    ),
    afterwards: ' last',
  },
  row(
    'an answer before the body was read, and an end (RFC 9112 §9.6)',
    ({ origin }) => {
      origin.write(OK)
      origin.close()
    },
    { ...GOOD, next: 'closed' },
    UPLOAD,
  ),
  row(
    'an answer that only the close delimits before the body was read',
    saysAndEnds('HTTP/1.1 200 OK\r\n\r\ngood'),
    { ...GOOD, next: 'closed' },
    UPLOAD,
  ),
  row(
    'an answer that breaks off before the body was read',
    saysAndEnds('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood'),
    'cut',
    UPLOAD,
  ),
  row('an end before the body was read', saysAndEnds(''), CLOSED, UPLOAD),
  row('nonsense before the body was read', says('what?\r\n\r\n'), INVALID, UPLOAD),
]

/**
 * Once refused, now read: each can be understood in one way only, and what the next reader gets is written anew in clean form. Behind each comes a second
 * response, which nobody gets.
 */
const TOLERATED: readonly HostileOrigin[] = [
  ...TOLERATED_RESPONSES.filter(([, , clean]) => / 200 /.test(clean)).flatMap(([title, message, clean]) => {
    const chunked = clean.includes('chunked')
    const framed = clean.includes('Content-Length') || chunked
    const content = chunked ? '5\r\ngood!\r\n0\r\n\r\n' : 'good!'
    const answer = message + content
    if (!framed) return [row(title, saysAndEnds(answer), { ...GOOD, content: 'good!' })]
    return [
      row(title, says(answer), { ...GOOD, content: 'good!' }),
      row(`${title}, and a second response`, says(answer + POISON), { ...GOOD, content: 'good!' }),
      idleRow(`${title}, and a second response later`, saysLater(answer, POISON), { ...GOOD, content: 'good!' }),
    ]
  }),
  ...[...TOLERATED_CHUNKS, ...ODD_CHUNKS].flatMap(([title, body]) => {
    const outcome: Outcome = { ...GOOD, content: /ab.de/s.exec(body)?.[0] ?? '' }
    return [
      row(`${title}, with the head`, says(CHUNKED_HEAD + body + POISON), outcome),
      row(`${title}, behind the head`, saysBehind(CHUNKED_HEAD, body + POISON), outcome),
      idleRow(`${title}, and a second response later`, saysLater(CHUNKED_HEAD + body, POISON), outcome),
    ]
  }),
]

const REFUSED: readonly HostileOrigin[] = [
  ...REFUSED_RESPONSES.filter(([, , , asked]) => asked?.upgrade !== true).map(([title, answer, , asked]) =>
    row(title, says(answer), INVALID, asking(`${asked?.method ?? 'GET'} /hostile HTTP/1.1`)),
  ),
  ...REFUSED_RESPONSES.filter(([, , , asked]) => asked?.upgrade === true).map(([title, answer]) =>
    row(title, says(answer), INVALID, asking('GET /hostile HTTP/1.1', ['Connection: upgrade', 'Upgrade: websocket'])),
  ),
  // With its head there is nothing yet that the visitor was given; behind it there is.
  ...REFUSED_CHUNKS.map(([title, body]) => row(`${title}, with the head`, says(CHUNKED_HEAD + body), INVALID)),
  ...REFUSED_CHUNKS.map(([title, body]) => row(`${title}, behind the head`, saysBehind(CHUNKED_HEAD, body), 'cut')),
]

export const HOSTILE_ORIGINS: readonly HostileOrigin[] = [
  ...UNASKED,
  ...BODILESS,
  ...INTERIM,
  ...UPGRADES,
  ...NO_RESPONSE,
  ...LENGTHS,
  ...LIMITS,
  ...TRAILERS,
  ...EARLY,
  ...TOLERATED,
  ...REFUSED,
]

/** Answers that are broken off behind each of their bytes. */
export const BREAKABLE = [
  ['with a length', OK],
  ['in chunks', `${CHUNKED_HEAD}2;a\r\ngo\r\n2\r\nod\r\n0\r\nX: y\r\n\r\n`],
  ['behind an interim one', HINT + OK],
  ['without a body', 'HTTP/1.1 204 No Content\r\nX: y\r\n\r\n'],
  ['delimited by the close', 'HTTP/1.1 200 OK\r\nX: y\r\n\r\ngood'],
] as const
