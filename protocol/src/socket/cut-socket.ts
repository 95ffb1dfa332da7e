/** Ends a TCP connection so that its peer can tell that something is missing. */
import type { Socket } from 'node:net'

/**
 * As `socket.resetAndDestroy()`, but while the end of the writing is under way: libuv refuses a reset then, and node emits no 'close' and keeps the
 * descriptor for ever (seen with Node 20 and 24). All that was written is in the system's hands by then, so such a socket is destroyed without a reset.
 */
export function cutSocket(socket: Socket): void {
  const ending = socket.writableEnded && socket.writableLength === 0 && !socket.writableFinished
  if (ending) socket.destroy()
  else socket.resetAndDestroy()
}
