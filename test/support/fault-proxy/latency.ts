/** Every byte, and the end, comes so much later. Knows nothing of how many there are. */
import { Transform, type TransformCallback } from 'node:stream'
import type { Fault } from './fault.ts'

/** What may be under way: more than any window over any delay that is tried here. */
const UNDER_WAY_BYTES = 64 * 1024 * 1024

export const latency =
  (ms: number): Fault =>
  () => {
    let underWay = 0
    let waiting: TransformCallback | undefined
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        underWay += chunk.length
        setTimeout(() => {
          underWay -= chunk.length
          this.push(chunk)
          waiting?.()
          waiting = undefined
        }, ms)
        if (underWay < UNDER_WAY_BYTES) done()
        else waiting = done
      },
      // Timers of one length expire in the order in which they were set.
      flush(done) {
        setTimeout(done, ms)
      },
    })
  }
