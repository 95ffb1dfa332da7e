/** The parts of the write side that its streams' tests do not reach: the queue of chunks and the list of who is ready. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HELD_PIECE_BYTES, STREAM_BACKLOG_BYTES } from '../limits.ts'
import { FrameType } from './frame.ts'
import { Output } from './output.ts'
import type { MuxStream } from './raw-stream.ts'
import { ReadyList } from './ready-list.ts'
import { SendQueue } from './send-queue.ts'
import { decode } from './testing/slow-codec.ts'

describe('the send queue', () => {
  it('moves bytes in order, whatever the sizes of chunks and frames', () => {
    const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20_000 })), {
      maxLength: 300,
    })
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.integer({ min: 1, max: 40_000 })), (chunks, frames) => {
        const queue = new SendQueue()
        const output = new Output()
        const pieces: Buffer[] = []
        let written = 0
        for (const size of chunks) {
          const chunk = Buffer.alloc(size)
          for (let at = 0; at < size; at++) chunk[at] = written++ % 251
          queue.push(chunk)
        }
        expect(queue.bytes).toBe(written)
        while (queue.bytes > 0) {
          const count = Math.min(queue.bytes, frames.next().value)
          output.begin()
          output.header(FrameType.data, 0, 1, count)
          queue.moveTo(output, count)
          pieces.push(...output.finish())
        }
        const { frames: got, rest } = decode(Buffer.concat(pieces))
        const bytes = Buffer.concat(got.map(({ payload }) => payload))
        expect([bytes.length, rest.length]).toEqual([written, 0])
        for (let at = 0; at < written; at++) if (bytes[at] !== at % 251) expect.fail(`byte ${at}`)
      }),
      { numRuns: 60 },
    )
  })
})

describe('the send queue of a writer that does not get on', () => {
  const sizes = fc.oneof(
    fc.constant(1),
    fc.integer({ min: 1, max: 300 }),
    fc.constantFrom(1, 4096, 4097),
    fc.integer({ min: 1, max: 9000 }),
  )

  it('keeps few pieces, and memory in proportion to its bytes, however they come', () => {
    fc.assert(
      fc.property(fc.infiniteStream(sizes), (lengths) => {
        const queue = new SendQueue()
        while (queue.bytes < STREAM_BACKLOG_BYTES) queue.push(Buffer.alloc(lengths.next().value))
        // Of two neighbours, one is large or both together fill half a slab of 8 KiB.
        expect(queue.pieces).toBeLessThanOrEqual(4 + (2 * queue.bytes) / 4096 + 2)
        expect(queue.held).toBe(queue.bytes + queue.pieces * HELD_PIECE_BYTES)
      }),
      { numRuns: 200 },
    )
  })

  it('keeps 64 KiB of single bytes in a few slabs', () => {
    const queue = new SendQueue()
    for (let bytes = 0; bytes < STREAM_BACKLOG_BYTES; bytes++) queue.push(Buffer.alloc(1))
    expect(queue.pieces).toBeLessThanOrEqual(13)
    queue.clear()
    expect([queue.pieces, queue.held]).toEqual([0, 0])
  })

  it('keeps what is written at once as it came', () => {
    const queue = new SendQueue()
    const head = Buffer.from('HTTP/1.1 200 OK')
    const output = new Output()
    output.begin()
    queue.push(head)
    queue.push(Buffer.alloc(20_000))
    queue.moveTo(output, queue.bytes)
    expect(output.finish().at(-1)).toHaveLength(20_000)
  })
})

describe('the ready list', () => {
  it('is a queue from whose middle members may leave', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(9)), { maxLength: 80 }), (steps) => {
        const list = new ReadyList()
        const streams = Array.from({ length: 10 }, (_, id) => ({ id }) as MuxStream)
        let model: MuxStream[] = []
        for (const [add, pick] of steps) {
          const stream = streams[pick]!
          if (add && !model.includes(stream)) {
            list.add(stream)
            model.push(stream)
          } else if (!add && model.includes(stream)) {
            list.remove(stream)
            model = model.filter((one) => one !== stream)
          }
          const walked: MuxStream[] = []
          for (let one = list.first; one !== undefined; one = one.nextReady) walked.push(one)
          expect(walked.map(({ id }) => id)).toEqual(model.map(({ id }) => id))
          for (const one of streams) expect(one.readyIn === list).toBe(model.includes(one))
        }
      }),
    )
  })
})
