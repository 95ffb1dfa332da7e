/** The end of what was said comes so much later than the rest. */
import { Transform } from 'node:stream'
import type { Fault } from './fault.ts'

export const slowClose =
  (ms: number): Fault =>
  () =>
    new Transform({
      transform: (chunk: Buffer, _encoding, done) => done(null, chunk),
      flush(done) {
        setTimeout(done, ms)
      },
    })
