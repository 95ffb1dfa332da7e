/** No more than so many bytes a second. Knows nothing of who shares them: each connection has its own. */
import { Transform } from 'node:stream'
import type { Fault } from './fault.ts'

/** Often enough that nobody notices the steps. */
const STEPS_PER_SECOND = 50

export const bandwidth =
  (bytesPerSecond: number): Fault =>
  () => {
    const step = Math.max(1, Math.floor(bytesPerSecond / STEPS_PER_SECOND))
    /** When the line is free again; monotonic milliseconds. */
    let free = 0
    return new Transform({
      async transform(chunk: Buffer, _encoding, done) {
        for (let at = 0; at < chunk.length; at += step) {
          const piece = chunk.subarray(at, at + step)
          const now = performance.now()
          free = Math.max(free, now) + (piece.length * 1000) / bytesPerSecond
          if (free - now > 1) await new Promise((resolve) => setTimeout(resolve, free - now))
          if (this.destroyed) return
          this.push(piece)
        }
        done()
      },
    })
  }
