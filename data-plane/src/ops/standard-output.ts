/** The process's standard output, as an outlet that never holds up the process. Knows nothing of what is written. */
import { fstatSync, write } from 'node:fs'
import type { Outlet } from './line-writer.ts'

const STDOUT = 1

/**
 * Pipes and sockets are written without blocking, by the stream that Node has for them; files and terminals, which know no such thing, by a thread
 * of libuv. Nothing else may write there: of two writers one would break the other's lines.
 */
export function standardOutput(): Outlet {
  return isPipe() ? byStream : byThread
}

function isPipe(): boolean {
  try {
    const stat = fstatSync(STDOUT)
    return stat.isFIFO() || stat.isSocket()
  } catch {
    // Closed: each write fails, and is counted.
    return false
  }
}

const byStream: Outlet = (bytes, done) => {
  // An error comes both to the callback and as an event, which would end the process if nobody listened.
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => {})
  process.stdout.write(bytes, (error) => done(error ?? undefined, false))
}

const byThread: Outlet = (bytes, done) => {
  const rest = (from: number): void =>
    write(STDOUT, bytes, from, bytes.length - from, null, (error, written) => {
      if (error !== null) done(error, from > 0)
      else if (from + written < bytes.length) rest(from + written)
      else done(undefined, false)
    })
  rest(0)
}
