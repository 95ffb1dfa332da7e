import type { Http2Stream } from 'node:http2'
import { Readable } from 'node:stream'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { containedEvents } from './contained-events.ts'
import { GatedInput } from './gated-input.ts'

/** A stream that is pushed to as `node:http2` does it: each frame is a part of a larger read, and the end follows the last of them. */
function receiving() {
  const stream = new Readable({ read: () => {} })
  let received = ''
  let ended = false
  let input: GatedInput
  /** Pauses itself after so many more pieces. */
  let patience = Infinity
  const on = containedEvents(stream, (error) => expect(error).toBeUndefined())
  input = new GatedInput({
    stream: stream as unknown as Http2Stream,
    on,
    data: (chunk) => {
      received += chunk
      patience -= 1
      if (patience === 0) input.pause()
    },
    end: () => {
      ended = true
    },
  })
  return {
    input,
    frame(text: string): void {
      stream.push(Buffer.concat([Buffer.from(text), Buffer.alloc(60_000)]).subarray(0, text.length))
    },
    end(): void {
      stream.push(null)
      stream.read(0)
    },
    resume(pieces: number): void {
      patience = pieces
      input.resume()
    },
    get received(): string {
      return received
    },
    get ended(): boolean {
      return ended
    },
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('every byte is handed on once and in order, none while it is paused, and the end behind them', async () => {
  const act = fc.oneof(
    fc.record({
      kind: fc.constant('frame' as const),
      length: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.nat(20_000)),
    }),
    fc.record({
      kind: fc.constant('resume' as const),
      pieces: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 3 })),
    }),
    fc.record({ kind: fc.constantFrom('pause' as const, 'turn' as const) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 30 }), async (acts) => {
      const stream = receiving()
      let sent = ''
      for (const each of acts) {
        const { received } = stream
        if (each.kind === 'frame' && each.length > 0) {
          const text = String.fromCharCode(97 + (sent.length % 26)).repeat(each.length)
          sent += text
          stream.frame(text)
        } else if (each.kind === 'resume') stream.resume(each.pieces)
        else if (each.kind === 'turn') await turn()
        else if (each.kind === 'pause') {
          stream.input.pause()
          await turn()
          expect(stream.received).toBe(received)
        }
        expect(sent.startsWith(stream.received)).toBe(true)
      }
      stream.end()
      await turn()
      if (stream.received.length < sent.length) expect(stream.ended).toBe(false)
      stream.resume(Infinity)
      await turn()
      await turn()
      expect([stream.received === sent, stream.ended, stream.input.length]).toEqual([true, true, 0])
    }),
    { numRuns: 300 },
  )
})
