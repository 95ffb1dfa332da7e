/** A mux stream as a Node `Duplex`, for Node APIs that need one (10 µs each; the hot path does without). */
import type { Duplex } from 'node:stream'
import type { ByteStream } from './stream.ts'

export function duplexOf(_stream: ByteStream): Duplex {
  throw new Error('being written')
}
