/** Bytes that look random, come in any amount and are the same each time, so that a lost, doubled or moved one is noticed. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'

const PIECE = 64 * 1024
/** 65,537 bytes of a linear congruential generator: not a multiple of any buffer's size, so that pieces never look alike. */
const PATTERN = Buffer.alloc(PIECE + 1)
for (let at = 0, state = 1; at < PATTERN.length; at++) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  PATTERN[at] = state >>> 24
}
const TWICE = Buffer.concat([PATTERN, PATTERN])

/** `length` bytes from `from` on. */
function piece(from: number, length: number): Buffer {
  const start = from % PATTERN.length
  return TWICE.subarray(start, start + length)
}

/** The first `length` bytes of the pattern, piece by piece. */
export function* patternedPieces(length: number): Generator<Buffer> {
  for (let at = 0; at < length; at += PIECE) yield piece(at, Math.min(PIECE, length - at))
}

export const patternedStream = (length: number): Readable => Readable.from(patternedPieces(length))

/** SHA-256 of the first `length` bytes, in hex. */
export function patternedHash(length: number): string {
  const hash = createHash('sha256')
  for (const bytes of patternedPieces(length)) hash.update(bytes)
  return hash.digest('hex')
}
