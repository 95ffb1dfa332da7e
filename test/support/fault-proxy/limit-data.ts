/** After so many bytes the connection ends, by FIN, for both. Knows nothing of what the bytes are. */
import { Transform } from 'node:stream'
import type { Fault } from './fault.ts'

export const limitData =
  (bytes: number): Fault =>
  (path) => {
    let left = bytes
    return new Transform({
      transform(chunk: Buffer, _encoding, done) {
        const passes = chunk.subarray(0, left)
        if (passes.length > 0) this.push(passes)
        left -= passes.length
        if (left === 0) path.close()
        done()
      },
    })
  }
