import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SERVICE_RESTART, WebSocketFrames } from './websocket-frames.ts'

/** One frame as its sender would write it. */
function frame(opcode: number, size: number, masked = false): Buffer {
  const mask = masked ? 0x80 : 0
  let head: Buffer
  if (size < 126) head = Buffer.from([0x80 | opcode, mask | size])
  else if (size < 65_536) {
    head = Buffer.from([0x80 | opcode, mask | 126, 0, 0])
    head.writeUInt16BE(size, 2)
  } else {
    head = Buffer.concat([Buffer.from([0x80 | opcode, mask | 127]), Buffer.alloc(8)])
    head.writeBigUInt64BE(BigInt(size), 2)
  }
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0, 0xff), Buffer.alloc(size, 0xff)])
}

const sizes = fc.oneof(fc.nat(130), fc.constantFrom(125, 126, 127, 65_535, 65_536), fc.nat(70_000))
const frames = fc.array(fc.tuple(fc.constantFrom(0, 1, 2, 9, 10), sizes, fc.boolean()), { minLength: 1, maxLength: 5 })

test('the ends of frames are found wherever the bytes are cut, and nowhere else', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(), { maxLength: 8 }), (specs, cuts) => {
      const all = specs.map(([opcode, size, masked]) => frame(opcode, size, masked))
      const bytes = Buffer.concat(all)
      let length = 0
      const ends = new Set([0, ...all.map((one) => (length += one.length))])
      const places = [...new Set(cuts.map((cut) => cut % bytes.length)), bytes.length].sort((a, b) => a - b)
      const tracker = new WebSocketFrames()
      let from = 0
      for (const to of places) {
        expect(tracker.advance(bytes, from, to)).toBe(to)
        expect(tracker.between).toBe(ends.has(to))
        from = to
      }
      expect(tracker.closed).toBe(false)
    }),
  )
})

test('asked to, it stops behind the frame that is under way', () => {
  const [first, second] = [frame(1, 200), frame(2, 70_000)]
  const bytes = Buffer.concat([first, second])
  const tracker = new WebSocketFrames()
  tracker.advance(bytes, 0, 50)
  expect(tracker.between).toBe(false)
  expect(tracker.advance(bytes, 50, bytes.length, true)).toBe(first.length)
  expect(tracker.between).toBe(true)
})

test('a Close frame is noticed from its first header on, and 1012 is one', () => {
  const tracker = new WebSocketFrames()
  tracker.advance(frame(1, 3), 0, 5)
  expect(tracker.closed).toBe(false)
  tracker.advance(SERVICE_RESTART, 0, 2)
  expect([tracker.closed, tracker.between]).toEqual([true, false])
  tracker.advance(SERVICE_RESTART, 2, 4)
  expect(tracker.between).toBe(true)
  expect(SERVICE_RESTART.readUInt16BE(2)).toBe(1012)
})
