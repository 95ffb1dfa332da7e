/** Nothing passes, and after a while the connection ends, by FIN, for both. */
import { Duplex } from 'node:stream'
import type { Fault } from './fault.ts'

/** @param ms Infinity: it never ends by itself. */
export const timeout =
  (ms: number): Fault =>
  (path) => {
    const timer = ms === Number.POSITIVE_INFINITY ? undefined : setTimeout(() => path.close(), ms)
    return new Duplex({
      // Neither a byte nor the end ever comes out.
      read: () => {},
      write: (_chunk, _encoding, done) => done(),
    }).on('close', () => clearTimeout(timer))
  }
