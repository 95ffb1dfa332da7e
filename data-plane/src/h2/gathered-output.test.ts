import type { Http2Stream } from 'node:http2'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { GatheredOutput } from './gathered-output.ts'

/** A stream whose peer takes a write when it is told to. */
function sending() {
  const writes: Buffer[][] = []
  let done: (() => void) | undefined
  let ended = false
  const takenAt: number[] = []
  const take = (pieces: Buffer[], callback: () => void): void => {
    writes.push(pieces)
    done = callback
  }
  const stream = new Writable({
    write: (piece: Buffer, _encoding, callback) => take([piece], callback),
    writev: (pieces, callback) =>
      take(
        pieces.map(({ chunk }) => chunk as Buffer),
        callback,
      ),
    final: (callback) => {
      ended = true
      callback()
    },
  })
  const output = new GatheredOutput(stream as unknown as Http2Stream, () => takenAt.push(writes.length))
  return {
    output,
    writes,
    stream,
    taken: () => takenAt,
    ended: () => ended,
    async takeOne(): Promise<void> {
      const callback = done!
      done = undefined
      callback()
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}

test('what is written while a write is under way goes out in one write, in few pieces, and the end behind it', async () => {
  const { output, writes, taken, takeOne, ended } = sending()
  output.write(Buffer.from('first'))
  for (let count = 0; count < 20_000; count += 1) output.write(Buffer.from('x'))
  output.end()
  expect(output.length).toBe(20_005)
  await takeOne()
  expect([taken(), ended()]).toEqual([[], false])
  await takeOne()
  expect(writes.map((pieces) => Buffer.concat(pieces).toString())).toEqual(['first', 'x'.repeat(20_000)])
  expect(writes[1]!.length).toBeLessThan(10)
  expect([taken(), ended(), output.length]).toEqual([[2], true, 0])
})

test('a single piece is written as it is, and nothing after the end', async () => {
  const { output, writes, taken, takeOne, ended } = sending()
  const piece = Buffer.from('whole')
  output.write(piece)
  output.end()
  output.write(Buffer.from('late'))
  await takeOne()
  expect(writes).toEqual([[piece]])
  expect(writes[0]![0]).toBe(piece)
  expect([taken(), ended()]).toEqual([[1], true])
})

test('a stream that was destroyed takes nothing, and tells nobody', async () => {
  const { output, taken, stream } = sending()
  stream.on('error', () => {})
  output.write(Buffer.from('one'))
  output.write(Buffer.from('two'))
  stream.destroy()
  output.write(Buffer.from('three'))
  output.end()
  await new Promise((resolve) => setImmediate(resolve))
  expect(taken()).toEqual([])
})
