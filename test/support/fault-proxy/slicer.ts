/** Segments of no more than so many bytes, each by itself. Knows nothing of time. */
import { Transform } from 'node:stream'
import type { Fault } from './fault.ts'

export const slicer =
  (bytes: number): Fault =>
  () =>
    new Transform({
      async transform(chunk: Buffer, _encoding, done) {
        for (let at = 0; at < chunk.length; at += bytes) {
          this.push(chunk.subarray(at, at + bytes))
          // Written together they would leave together.
          await new Promise((resolve) => setImmediate(resolve))
          if (this.destroyed) return
        }
        done()
      },
    })
