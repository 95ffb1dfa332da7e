/** Resets a TCP connection, whatever its socket is doing. */
import type { Socket } from 'node:net'

/**
 * Sends RST and closes. The socket emits 'close', and nothing of what still comes.
 *
 * libuv refuses to reset a handle whose shutdown is pending (`uv_tcp_close_reset`: EINVAL), which is so from `end` until 'finish'. Node (20 and 24) then emits 'error', never
 * emits 'close', and keeps the descriptor for the life of the process. Nothing is queued before such a shutdown, so it is over within a turn: then the reset is sent.
 */
export function resetSocket(socket: Socket): void {
  const { destroyed, writableEnded, writableFinished, writableLength } = socket
  if (destroyed) return
  if (!writableEnded || writableFinished || writableLength > 0) return void socket.resetAndDestroy()
  socket.pause()
  socket.once('finish', () => socket.resetAndDestroy())
}
