/** Bytes pass, and after a while the connection is reset for both. */
import { PassThrough } from 'node:stream'
import type { Fault } from './fault.ts'

export const reset =
  (ms: number): Fault =>
  (path) => {
    const timer = setTimeout(() => path.reset(), ms)
    return new PassThrough().on('close', () => clearTimeout(timer))
  }
