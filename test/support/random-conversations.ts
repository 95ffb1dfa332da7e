/** Conversations of HTTP/1.1 that nobody would think of and everybody must carry. Knows nothing of who has them. */
import fc from 'fast-check'

interface Body {
  /** The fields that frame it. */
  readonly fields: readonly string[]
  readonly bytes: string
  /** Only the end of the connection ends it. */
  readonly untilClose: boolean
}

/** Requests on one connection, and what is answered to each. */
export interface Conversation {
  readonly requests: readonly { readonly method: string; readonly bytes: string }[]
  readonly responses: readonly { readonly pieces: readonly string[]; readonly closes: boolean }[]
  /** Lengths of the pieces in which all requests are sent, repeated as needed. */
  readonly cuts: readonly number[]
}

const anyByte = fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte))
const octets = fc.oneof(
  fc.string({ unit: anyByte, maxLength: 40 }),
  // What looks like a message, or like chunks, is only content.
  fc.constantFrom(
    'GET / HTTP/1.1\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
    '0\r\n\r\n',
    '\r\n',
    'x'.repeat(20_000),
  ),
)
const fieldName = fc.constantFrom(
  'X-a',
  'x-B',
  'Accept',
  'Cookie',
  'ETag',
  'Set-Cookie',
  'Cache-Control',
  'Vary',
  'X-under_score',
)
const visible = fc.constantFrom(...'abcXYZ019 ,;=:"/%\t\xe4\xff'.split(''))
const field = fc
  .tuple(fieldName, fc.string({ unit: visible, maxLength: 30 }))
  .map(([name, value]) => `${name}: ${value.trim()}`)
const fields = fc.array(field, { maxLength: 6 })

const nothing: fc.Arbitrary<Body> = fc.constant({ fields: [], bytes: '', untilClose: false })
const measured: fc.Arbitrary<Body> = octets.map((bytes) => ({
  fields: [`Content-Length: ${bytes.length}`],
  bytes,
  untilClose: false,
}))
const chunk = fc
  .tuple(octets, fc.constantFrom('', ';x', ';name=value', ';q="a;b"'), fc.boolean())
  .filter(([bytes]) => bytes.length > 0)
  .map(([bytes, extension, upper]) => {
    const size = bytes.length.toString(16)
    return `${upper ? `0${size.toUpperCase()}` : size}${extension}\r\n${bytes}\r\n`
  })
const chunked: fc.Arbitrary<Body> = fc
  .tuple(
    fc.array(chunk, { maxLength: 4 }),
    fc.array(fc.constantFrom('X-Sum: 1', 'x-t:', 'X-Two: a, b'), { maxLength: 2 }),
  )
  .map(([chunks, trailers]) => ({
    fields: ['Transfer-Encoding: chunked'],
    bytes: `${chunks.join('')}0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`,
    untilClose: false,
  }))
const untilClose: fc.Arbitrary<Body> = octets.map((bytes) => ({ fields: [], bytes, untilClose: true }))

const method = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'REPORT')
const path = fc
  .string({ unit: fc.constantFrom(...'ab./%20?&=~!*;:@'.split('')), maxLength: 20 })
  .map((text) => `/${text.replaceAll(/%(?!20)/g, 'p')}`)
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5000 })), {
  minLength: 1,
  maxLength: 6,
})

const request = fc.tuple(method, path, fields, fc.oneof(nothing, measured, chunked))

const response = fc.record({
  status: fc.constantFrom(
    '200 OK',
    '201 Created',
    '204 No Content',
    '304 Not Modified',
    '404 Not Found',
    '500 Oh',
    '299 ',
  ),
  early: fc.array(fields, { maxLength: 2 }),
  fields,
  body: fc.oneof(measured, chunked, untilClose),
  cuts,
})

/** `host`: the Host of all requests, asked when one is made. X-Index says which of the conversation's requests it is. */
export const conversations = (host: () => string): fc.Arbitrary<Conversation> =>
  fc
    .record({ exchanges: fc.array(fc.tuple(request, response), { minLength: 1, maxLength: 4 }), cuts })
    .map(({ exchanges, cuts }) => {
      // An answer that only the close ends is the last thing on a connection.
      const end = exchanges.findIndex(([[method], answer]) => closes(method, answer))
      const kept = end < 0 ? exchanges : exchanges.slice(0, end + 1)
      return {
        cuts,
        requests: kept.map(([[method, target, lines, body]], index) => ({
          method,
          bytes: `${[`${method} ${target} HTTP/1.1`, `Host: ${host()}`, `X-Index: ${index}`, ...lines, ...body.fields].join('\r\n')}\r\n\r\n${body.bytes}`,
        })),
        responses: kept.map(([[method], answer]) => ({
          pieces: written(method, answer),
          closes: closes(method, answer),
        })),
      }
    })

type Response = typeof response extends fc.Arbitrary<infer T> ? T : never

const isBodiless = (method: string, status: string): boolean => method === 'HEAD' || /^(204|304)/.test(status)

const closes = (method: string, { status, body }: Response): boolean => body.untilClose && !isBodiless(method, status)

function written(method: string, { status, early, fields, body, cuts }: Response): string[] {
  const hints = early.map((lines) => `${['HTTP/1.1 103 Early Hints', ...lines].join('\r\n')}\r\n\r\n`)
  // A 204 has no framing fields at all (RFC 9110 §8.6).
  const framing = status.startsWith('204') ? [] : body.fields
  const head = `${[`HTTP/1.1 ${status}`, ...fields, ...framing].join('\r\n')}\r\n\r\n`
  return inPieces(hints.join('') + head + (isBodiless(method, status) ? '' : body.bytes), cuts)
}

/** At most some two hundred, of these lengths in turn; the last takes the rest. */
export function inPieces(text: string, cuts: readonly number[]): string[] {
  const pieces: string[] = []
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const length = turn < 200 ? cuts[turn % cuts.length]! : text.length
    pieces.push(text.slice(at, at + length))
    at += length
  }
  return pieces
}
