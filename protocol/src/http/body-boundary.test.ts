/** Where a body ends, however its bytes are cut into pieces. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { CHUNK_LINE_BYTES, TRAILER_BYTES } from '../limits.ts'
import { BodyBoundary } from './body-boundary.ts'
import { chunkOf, LAST_CHUNK } from './chunk-writer.ts'
import { Dechunker } from './dechunker.ts'
import type { BodyFraming } from './framing.ts'
import { ruleOf, type Side } from './rules.ts'
import {
  DROPPED_TRAILERS,
  line,
  ODD_CHUNKS,
  REFUSED_CHUNKS,
  TOLERATED_CHUNKS,
  trailer,
} from './testing/refused-chunks.ts'

/** Feeds pieces of `sizes` bytes in turn; answers how many bytes belong to the body, or the rule, or `goes on`. */
function measure(
  framing: BodyFraming,
  length: number,
  bytes: Buffer,
  sizes: number[],
  side: Side = 'request',
): number | string {
  const boundary = new BodyBoundary(side)
  boundary.start(framing, length)
  let at = 0
  try {
    for (let piece = 0; at < bytes.length && !boundary.done; piece++) {
      const to = Math.min(bytes.length, at + Math.max(1, sizes[piece % sizes.length] ?? 1))
      const end = boundary.advance(bytes, at, to)
      if (end < to && !boundary.done) return `stopped at ${end} without being done`
      at = end
    }
  } catch (error) {
    if (!(error instanceof TunnelFault)) throw error
    return ruleOf(error) ?? error.message
  }
  return boundary.done ? at : 'goes on'
}

/** What passes on of the bytes, fed in pieces of `sizes`, and what waits behind it. */
function passed(bytes: Buffer, sizes: number[], boundary = new BodyBoundary('request')): string {
  boundary.start('chunked', -1)
  const pieces: Buffer[] = []
  for (let at = 0, piece = 0; at < bytes.length && !boundary.done; piece++) {
    const end = boundary.advance(bytes, at, Math.min(bytes.length, at + (sizes[piece % sizes.length] ?? 1)))
    pieces.push(boundary.passed(bytes, at), boundary.takeTail() ?? Buffer.alloc(0))
    at = end
  }
  return Buffer.concat(pieces).toString('latin1')
}

const chunked = (body: string, sizes: number[] = [1 << 20], side: Side = 'request') =>
  measure('chunked', -1, Buffer.from(body, 'latin1'), sizes, side)

const ACCEPTED: [title: string, body: string][] = [
  ['§7.1: an empty body', '0\r\n\r\n'],
  ['§7.1: zeros', '000\r\n\r\n'],
  ['§7.1: zeros before a size', '0005\r\nabcde\r\n0\r\n\r\n'],
  ['§7.1: hexadecimal in both cases', `aA\r\n${'x'.repeat(0xaa)}\r\n0\r\n\r\n`],
  ['§7.1: data that looks like framing', '5\r\n0\r\n\r\n\r\n0\r\n\r\n'],
  ['§7.1.1: extensions', '1;a;b=c;d="e f\\"g;"\r\nx\r\n0;z\r\n\r\n'],
  ['§7.1.1: the longest line', `${line(CHUNK_LINE_BYTES)}x\r\n0\r\n\r\n`],
  ['§7.1.2: trailers', '1\r\nx\r\n0\r\nX-Checksum: abc\r\nServer-Timing: a;dur=1\r\n\r\n'],
  ['§7.1.2: the longest trailer section', trailer(TRAILER_BYTES)],
  ['§7.1.2: a name longer than any of ours', `0\r\n${'a'.repeat(200)}: 1\r\n\r\n`],
  ['§6.5.1: a field that may not stand in a trailer', '0\r\nContent-Length: 5\r\n\r\n'],
]

describe('a chunked body (RFC 9112)', () => {
  it.each(REFUSED_CHUNKS)('is refused: %s', (_title, body, rule, ofResponse = rule) => {
    for (const sizes of [[1 << 20], [1]]) {
      expect(chunked(body, sizes)).toBe(rule)
      expect(chunked(body, sizes, 'response')).toBe(ofResponse)
    }
  })

  const tolerated = [
    ...TOLERATED_CHUNKS.map((row) => [...row, false] as const),
    ...ODD_CHUNKS.map((row) => [...row, true] as const),
  ]
  it.each(tolerated)('is refused in a request, and cleaned in a response: %s', (_title, body, rule, clean, odd) => {
    const boundary = new BodyBoundary('response')
    const bytes = Buffer.from(`${body}HTTP/1.1`, 'latin1')
    for (const sizes of [[1 << 20], [1], [2], [7], [11, 1]]) {
      expect(chunked(body, sizes)).toBe(rule)
      expect(passed(bytes, sizes, boundary)).toBe(clean)
      expect([boundary.done, boundary.odd]).toEqual([true, odd])
      // Clean form passes unchanged, and the mark ends with its message.
      expect(passed(Buffer.from(clean, 'latin1'), sizes, boundary)).toBe(clean)
      expect([boundary.done, boundary.odd]).toEqual([true, false])
    }
  })

  it('names the chunk of a response in which a rule was broken', () => {
    const boundary = new BodyBoundary('response')
    boundary.start('chunked', -1)
    const bytes = Buffer.from('1\r\na\r\n1\r\na\r\nx\r\n')
    const detail = expect.stringMatching(/^chunk-size: .*RFC 9112 §7\.1.*, in chunk 3 of the body$/)
    expect(() => boundary.advance(bytes, 0, bytes.length)).toThrow(expect.objectContaining({ detail }))
  })

  it.each(ACCEPTED)('ends where it ends: %s', (_title, body) => {
    expect(chunked(`${body}GET / HTTP/1.1`)).toBe(body.length)
    expect(chunked(`${body}GET / HTTP/1.1`, [1])).toBe(body.length)
  })

  const anyChunk = fc.record({
    data: fc.uint8Array({ maxLength: 300 }),
    zeros: fc.nat(3),
    extension: fc.constantFrom('', ';a', ';a=b', ';a="\\"x"'),
  })
  const anyBody = fc.array(anyChunk, { maxLength: 8 }).map((chunks) => {
    const full = chunks.filter(({ data }) => data.length > 0)
    const coded = full.flatMap(({ data, zeros, extension }) => [
      Buffer.from(`${'0'.repeat(zeros)}${data.length.toString(16)}${extension}\r\n`),
      data,
      Buffer.from('\r\n'),
    ])
    return {
      plain: Buffer.concat(full.map(({ data }) => data)),
      coded: Buffer.concat([...coded, Buffer.from('0\r\nX: y\r\n\r\n')]),
    }
  })
  const anyCuts = fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 12 })

  it('ends at the same byte however it is cut, and not before', () => {
    fc.assert(
      fc.property(anyBody, anyCuts, fc.uint8Array({ maxLength: 20 }), ({ coded }, cuts, behind) => {
        expect(measure('chunked', -1, Buffer.concat([coded, behind]), cuts)).toBe(coded.length)
        expect(measure('chunked', -1, coded.subarray(0, -1), cuts)).toBe('goes on')
      }),
    )
  })

  it('of a response comes out in clean form, and out of the dechunker as the same data, however it is cut', () => {
    const dechunked = (coded: string, cuts: number[]): string => {
      const bytes = Buffer.from(coded, 'latin1')
      let data = ''
      const dechunker = new Dechunker((buffer, from, to) => {
        data += buffer.toString('latin1', from, to)
      })
      dechunker.start()
      for (let at = 0, piece = 0; at < bytes.length; piece++)
        at = dechunker.advance(bytes, at, Math.min(bytes.length, at + cuts[piece % cuts.length]!))
      expect(dechunker.done).toBe(true)
      return data
    }
    fc.assert(
      fc.property(fc.constantFrom(...tolerated), anyCuts, ([, body, , clean, odd], cuts) => {
        const boundary = new BodyBoundary('response')
        expect(passed(Buffer.from(`3\r\nabc\r\n${body}`, 'latin1'), cuts, boundary)).toBe(`3\r\nabc\r\n${clean}`)
        expect(boundary.odd).toBe(odd)
        expect(dechunked(body, cuts)).toBe(dechunked(clean, [clean.length]))
      }),
    )
  })

  it('is refused for the same rule however it is cut', () => {
    fc.assert(
      fc.property(fc.constantFrom(...REFUSED_CHUNKS), anyCuts, ([, body, rule], cuts) => {
        expect(chunked(`3\r\nabc\r\n${body}`, cuts)).toBe(rule)
      }),
    )
  })

  it.each(DROPPED_TRAILERS)('passes on without one field: %s', (_title, field) => {
    const made = (...lines: string[]) =>
      Buffer.from(`3\r\nabc\r\n0\r\n${lines.map((one) => `${one}\r\n`).join('')}\r\n`)
    for (const sizes of [[1 << 20], [1], [7], [11, 1]]) {
      expect(passed(made('A: 1', field, 'B: 2'), sizes)).toBe(made('A: 1', 'B: 2').toString())
      expect(passed(made(field, field), sizes)).toBe(made().toString())
    }
  })

  const anyTrailers = fc.array(
    fc.record({
      line: fc.constantFrom('X: y', 'Grpc-Status: 0', 'x_own: 1', ...DROPPED_TRAILERS.map(([, field]) => field)),
    }),
    { maxLength: 6 },
  )
  const dropped = new Set(DROPPED_TRAILERS.map(([, field]) => field))

  it('passes on as it is but for fields that may not stand in its trailers, however it is cut', () => {
    fc.assert(
      fc.property(anyBody, anyTrailers, anyCuts, fc.nat(), ({ coded }, trailers, cuts, cut) => {
        const body = coded.toString('latin1').slice(0, -'X: y\r\n\r\n'.length)
        const withLines = (lines: string[]) => `${body}${lines.map((one) => `${one}\r\n`).join('')}\r\n`
        const lines = trailers.map(({ line: one }) => one)
        const sent = Buffer.from(withLines(lines), 'latin1')
        const wanted = withLines(lines.filter((one) => !dropped.has(one)))
        expect(passed(sent, cuts)).toBe(wanted)
        // Broken off anywhere and begun anew elsewhere, with what waited, it is the same again.
        const boundary = new BodyBoundary('request')
        const first = passed(sent.subarray(0, cut % sent.length), cuts, boundary)
        const again = Buffer.concat([Buffer.from(first, 'latin1'), boundary.held, sent.subarray(cut % sent.length)])
        expect(passed(again, cuts)).toBe(wanted)
      }),
    )
  })

  it('is what the chunks that are put on some bytes make, and comes off again', () => {
    const anyPieces = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 })
    fc.assert(
      fc.property(anyPieces, anyCuts, (pieces, cuts) => {
        const coded = Buffer.concat([
          ...pieces.map((piece) => chunkOf(Buffer.concat([Buffer.from('x'), piece]), 1, 1 + piece.length)),
          LAST_CHUNK,
        ])
        expect(measure('chunked', -1, coded, cuts)).toBe(coded.length)
        const data: Buffer[] = []
        const dechunker = new Dechunker((buffer, from, to) => data.push(buffer.subarray(from, to)))
        dechunker.start()
        dechunker.advance(coded, 0, coded.length)
        expect(Buffer.concat(data).equals(Buffer.concat(pieces))).toBe(true)
      }),
    )
  })

  it('comes out of the dechunker as the data alone, however it is cut (RFC 9112 §7.1.3)', () => {
    fc.assert(
      fc.property(anyBody, anyCuts, ({ plain, coded }, cuts) => {
        const data: Buffer[] = []
        const dechunker = new Dechunker((buffer, from, to) => data.push(buffer.subarray(from, to)))
        dechunker.start()
        for (let at = 0, piece = 0; at < coded.length; piece++)
          at = dechunker.advance(coded, at, Math.min(coded.length, at + cuts[piece % cuts.length]!))
        expect(dechunker.done).toBe(true)
        expect(Buffer.concat(data).equals(plain)).toBe(true)
      }),
    )
  })
})

describe('a body with a length (RFC 9112 §6.2)', () => {
  it('ends at the same byte however it is cut', () => {
    fc.assert(
      fc.property(
        fc.nat(2000),
        fc.nat(50),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }),
        (length, behind, cuts) => {
          expect(measure('length', length, Buffer.alloc(length + behind), cuts)).toBe(length)
          if (length > 0) expect(measure('length', length, Buffer.alloc(length - 1), cuts)).toBe('goes on')
        },
      ),
    )
  })

  it('is judged without keeping it, also beyond 4 GiB', () => {
    const boundary = new BodyBoundary('response')
    const length = 2 ** 53 - 1
    boundary.start('length', length)
    const chunk = Buffer.alloc(65536)
    expect(boundary.advance(chunk, 0, chunk.length)).toBe(chunk.length)
    expect(boundary.done).toBe(false)
  })
})

describe('the end of the connection (RFC 9112 §8)', () => {
  const after = (framing: BodyFraming, length: number, bytes: string) => {
    const boundary = new BodyBoundary('response')
    boundary.start(framing, length)
    boundary.advance(Buffer.from(bytes), 0, bytes.length)
    return { end: boundary.end(), done: boundary.done }
  }

  it('completes a body only if it was whole already, or ends by closing', () => {
    expect(after('none', -1, '')).toEqual({ end: 'complete', done: true })
    expect(after('length', 0, '')).toEqual({ end: 'complete', done: true })
    expect(after('length', 3, 'ab')).toEqual({ end: 'cut', done: false })
    expect(after('length', 3, 'abc')).toEqual({ end: 'complete', done: true })
    expect(after('chunked', -1, '1\r\na\r\n')).toEqual({ end: 'cut', done: false })
    expect(after('chunked', -1, '1\r\na\r\n0\r\n')).toEqual({ end: 'cut', done: false })
    expect(after('chunked', -1, '0\r\n\r\n')).toEqual({ end: 'complete', done: true })
    expect(after('close', -1, 'anything')).toEqual({ end: 'complete', done: false })
  })

  it('leaves a boundary that can be started again', () => {
    const boundary = new BodyBoundary('response')
    boundary.start('chunked', -1)
    boundary.advance(Buffer.from('5\r\nab'), 0, 5)
    boundary.start('chunked', -1)
    expect(boundary.advance(Buffer.from('0\r\n\r\nHTTP'), 0, 9)).toBe(5)
    expect(boundary.done).toBe(true)
    boundary.start('close', -1)
    expect(boundary.advance(Buffer.from('abc'), 0, 3)).toBe(3)
  })
})
