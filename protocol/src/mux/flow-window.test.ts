import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HELD_PIECES_PER_STREAM, INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES } from '../limits.ts'
import { ReceiveWindow } from './flow-window.ts'
import { WindowBudget } from './window-budget.ts'

const MiB = 1024 * 1024

/**
 * A sender that only the window limits, over a path with this round trip, in segments of 16 KiB; the reader passes everything on
 * at once. Returns how many ms it took.
 */
function download(window: ReceiveWindow, bytes: number, roundTripMs: number): number {
  const credits: { at: number; bytes: number }[] = []
  let maySend = window.available
  for (let ms = 0; ; ms++) {
    while (credits.length > 0 && credits[0]!.at <= ms) maySend += credits.shift()!.bytes
    for (; maySend > 0; maySend -= 16_384) {
      expect(window.arrive(16_384, ms)).toBe(true)
      window.deliver(16_384, ms)
      window.consume(16_384)
      if (window.creditDue) credits.push({ at: ms + roundTripMs, bytes: window.takeCredit(ms, roundTripMs) })
      bytes -= 16_384
      if (bytes <= 0) return ms
    }
  }
}

describe('a receive window', () => {
  it('accounts for every byte: size = available + unconsumed + owed, and what it may still send is never taken back', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(4), fc.nat(300_000)), { maxLength: 200 }), (steps) => {
        const budget = new WindowBudget(32 * MiB)
        const share = budget.share()
        const window = new ReceiveWindow(share)
        let told = INITIAL_WINDOW_BYTES
        let sent = 0
        let consumed = 0
        let now = 0
        for (const [kind, bytes] of steps) {
          if (kind === 0) {
            const fits = bytes <= told - sent
            expect(window.arrive(bytes, now)).toBe(fits)
            if (!fits) continue
            sent += bytes
            window.deliver(bytes, now)
          } else if (kind === 1) {
            const held = sent - consumed
            consumed += Math.min(bytes, held)
            expect(window.consume(bytes)).toBe(consumed < sent)
          } else if (kind === 3) {
            if (window.grown > 0 && bytes % 3 === 0) window.rest()
          } else if (kind === 4) window.askBack(Math.min(bytes, window.grown))
          else if (window.creditDue) told += window.takeCredit(now, 5)
          now += bytes % 7
          expect(window.unconsumed).toBe(sent - consumed)
          expect(window.available).toBe(told - sent)
          expect(window.available + window.unconsumed).toBeLessThanOrEqual(window.size)
          expect(window.size).toBe(INITIAL_WINDOW_BYTES + window.grown + share.resting)
          expect(budget.free).toBe(budget.bytes - window.grown)
          expect(share.windows.has(window)).toBe(window.grown > 0)
        }
        window.release()
        window.release()
        expect([budget.free, share.grown, share.resting, share.windows.size]).toEqual([budget.bytes, 0, 0, 0])
      }),
      { numRuns: 300 },
    )
  })

  it('grows until it no longer limits a reader that keeps up over 100 ms', () => {
    const window = new ReceiveWindow(new WindowBudget(64 * MiB).share())
    const ms = download(window, 100 * MiB, 100)
    expect(window.size).toBe(MAX_WINDOW_BYTES)
    // A window of 256 KiB would need 400 round trips.
    expect(ms).toBeLessThan(1500)
  })

  it('stays as it is while the round trip is unknown, or shorter than half of what a window lasts', () => {
    const window = new ReceiveWindow(new WindowBudget(32 * MiB).share())
    for (const roundTripMs of [undefined, 4]) {
      for (let now = 0; now < 100; now += 5) {
        window.arrive(INITIAL_WINDOW_BYTES / 2, now)
        window.deliver(INITIAL_WINDOW_BYTES / 2, now)
        window.consume(INITIAL_WINDOW_BYTES / 2)
        window.takeCredit(now + 5, roundTripMs)
      }
    }
    expect(window.size).toBe(INITIAL_WINDOW_BYTES)
  })

  it('never grows for a reader that holds more than a quarter of it', () => {
    const window = new ReceiveWindow(new WindowBudget(32 * MiB).share())
    window.arrive(INITIAL_WINDOW_BYTES, 0)
    window.deliver(INITIAL_WINDOW_BYTES, 0)
    window.consume(INITIAL_WINDOW_BYTES / 2)
    window.takeCredit(1, 1000)
    expect(window.size).toBe(INITIAL_WINDOW_BYTES)
  })

  it('counts what keeping small pieces costs, and knows when that is more than their bytes', () => {
    const window = new ReceiveWindow(new WindowBudget(0).share())
    for (let piece = 0; piece <= HELD_PIECES_PER_STREAM; piece++) {
      expect(window.shredded).toBe(false)
      window.arrive(1, 0)
      window.deliver(1, 0)
    }
    expect(window.shredded).toBe(true)
    expect(window.held).toBeGreaterThan(HELD_PIECES_PER_STREAM * 100)
    window.consume(window.unconsumed / 2)
    expect(window.pieces).toBeLessThan(HELD_PIECES_PER_STREAM)
    window.consume(window.unconsumed)
    expect(window.held).toBe(0)
  })
})
