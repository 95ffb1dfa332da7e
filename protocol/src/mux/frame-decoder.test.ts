import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameDecoder, type FrameSink } from './frame-decoder.ts'
import { decode, encode, type Frame } from './testing/slow-codec.ts'

/** Puts the pieces of each frame together again. */
class Gatherer implements FrameSink {
  readonly frames: Frame[] = []
  readonly malformations: string[] = []
  #pieces: Buffer[] = []
  #header: number[] = []

  frame(type: number, flags: number, id: number, length: number): void {
    this.#header = [type, flags, id, length]
    this.#pieces = []
    if (type !== 0) this.#push()
  }
  payload(chunk: Buffer, from: number, to: number): void {
    this.#pieces.push(chunk.subarray(from, to))
  }
  frameEnd(): void {
    this.#push()
  }
  malformed(detail: string): void {
    this.malformations.push(detail)
  }
  #push(): void {
    const [type, flags, id, length] = this.#header as [number, number, number, number]
    const header = Buffer.from([0, type, flags >> 8, flags, 0, 0, 0, 0, 0, 0, 0, 0])
    header.writeUInt32BE(id, 4)
    header.writeUInt32BE(length, 8)
    this.frames.push(...decode(Buffer.concat([header, ...this.#pieces])).frames)
  }
}

const anyFrame = fc.record({
  type: fc.constantFrom('data' as const, 'windowUpdate' as const, 'ping' as const, 'goAway' as const),
  flags: fc.subarray(['syn' as const, 'ack' as const, 'fin' as const, 'rst' as const]),
  id: fc.integer({ min: 0, max: 0xffff_ffff }),
  length: fc.integer({ min: 0, max: 0xffff_ffff }),
  payload: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
})

describe('the frame decoder', () => {
  it('reads what the slow codec reads, in any chunking', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.infiniteStream(fc.nat(40)), (frames, sizes) => {
        const wire = Buffer.concat(frames.map(encode))
        const sink = new Gatherer()
        const decoder = new FrameDecoder(sink)
        for (let at = 0; at < wire.length; ) {
          const size = sizes.next().value
          decoder.decode(wire.subarray(at, at + size))
          at += size
        }
        expect(sink.frames).toEqual(decode(wire).frames)
        expect(sink.malformations).toEqual([])
      }),
      { numRuns: 500 },
    )
  })

  it('reads one byte at a time', () => {
    const wire = Buffer.concat([
      encode({ type: 'data', flags: ['syn'], id: 1, payload: Buffer.from('hello') }),
      encode({ type: 'data', flags: ['fin'], id: 1 }),
      encode({ type: 'ping', flags: ['syn'], length: 0xdead_beef }),
    ])
    const sink = new Gatherer()
    const decoder = new FrameDecoder(sink)
    for (const byte of wire) decoder.decode(Buffer.from([byte]))
    expect(sink.frames).toEqual(decode(wire).frames)
  })

  it('passes payload on as it comes and keeps none of it', () => {
    const pieces: number[] = []
    const decoder = new FrameDecoder({
      frame: () => {},
      payload: (_chunk, from, to) => pieces.push(to - from),
      frameEnd: () => pieces.push(-1),
      malformed: () => {},
    })
    const wire = encode({ type: 'data', id: 1, payload: Buffer.alloc(10) })
    decoder.decode(wire.subarray(0, 15))
    expect(pieces).toEqual([3])
    decoder.decode(wire.subarray(15))
    expect(pieces).toEqual([3, 7, -1])
  })

  it.each([
    ['another version', Buffer.from([1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), 'version 1 instead of 0'],
    ['an unknown type', Buffer.from([0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]), 'frame type 4'],
  ])('refuses %s at its header and reads nothing behind it', (_what, header, detail) => {
    const sink = new Gatherer()
    const decoder = new FrameDecoder(sink)
    decoder.decode(Buffer.concat([header, encode({ type: 'ping' })]))
    decoder.decode(encode({ type: 'ping' }))
    expect(sink.malformations).toEqual([detail])
    expect(sink.frames).toEqual([])
  })

  it('stops in the middle of a chunk when its sink says so', () => {
    let seen = 0
    const decoder: FrameDecoder = new FrameDecoder({
      frame: () => {
        seen++
        decoder.stop()
      },
      payload: () => expect.unreachable(),
      frameEnd: () => expect.unreachable(),
      malformed: () => expect.unreachable(),
    })
    decoder.decode(Buffer.concat([encode({ type: 'data', id: 1, payload: Buffer.alloc(5) }), encode({ type: 'ping' })]))
    expect(seen).toBe(1)
  })
})
