import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ByteQueue } from './byte-queue.ts'

/** Memory that pieces keep, shared memory once. */
const kept = (pieces: readonly Buffer[]): number =>
  [...new Set(pieces.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)

test('it gives back what it was given, in order, whatever the sizes', () => {
  const piece = fc.oneof(fc.nat(20), fc.nat(10_000)).map((length) => Buffer.alloc(length, length.toString(36)))
  const some = fc.array(piece, { maxLength: 20 })
  fc.assert(
    fc.property(some, fc.array(piece, { maxLength: 3 }), some, (behind, before, last) => {
      const queue = new ByteQueue()
      for (const each of behind) queue.append(each)
      queue.prepend(before)
      for (const each of last) queue.append(each)
      const all = Buffer.concat([...before, ...behind, ...last])
      expect(queue.length).toBe(all.length)
      expect((queue.take() ?? Buffer.alloc(0)).equals(all)).toBe(true)
      expect([queue.length, queue.take()]).toEqual([0, undefined])
    }),
  )
})

describe('what it keeps is about as large as its bytes', () => {
  test('of single bytes', () => {
    const queue = new ByteQueue()
    for (let count = 0; count < 100_000; count += 1) queue.append(Buffer.of(count))
    const pieces = queue.takePieces()
    expect(pieces.length).toBeLessThan(20)
    expect(kept(pieces)).toBeLessThan(110_000)
  })

  test('of small parts of large memories', () => {
    const queue = new ByteQueue()
    for (let count = 0; count < 100; count += 1) queue.append(Buffer.alloc(64 * 1024).subarray(0, 10_000))
    expect(kept(queue.takePieces())).toBe(1_000_000)
  })

  test('of single bytes between larger pieces', () => {
    const queue = new ByteQueue()
    for (let count = 0; count < 100; count += 1) {
      queue.append(Buffer.allocUnsafeSlow(5000))
      queue.append(Buffer.of(1))
    }
    expect(kept(queue.takePieces())).toBe(500_100)
  })
})

test('pieces of a limited number of bytes are taken, and at least one', () => {
  const queue = new ByteQueue()
  for (const length of [6000, 7000, 8000]) queue.append(Buffer.allocUnsafeSlow(length))
  expect(queue.takePieces(5000).map(({ length }) => length)).toEqual([6000])
  expect(queue.length).toBe(15_000)
  expect(queue.takePieces(15_000).map(({ length }) => length)).toEqual([7000, 8000])
  expect([queue.length, queue.takePieces(1)]).toEqual([0, []])
})

test('one piece is not copied', () => {
  const queue = new ByteQueue()
  const piece = Buffer.allocUnsafeSlow(100)
  queue.append(piece)
  expect(queue.take()).toBe(piece)
})
