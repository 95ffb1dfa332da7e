/** The parts of the write side that its streams' tests do not reach: the queue of chunks and the list of who is ready. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
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
