/** What a TCP socket reads, handed on without the queue of its stream. Knows nothing of what the bytes are. */
import type { Socket } from 'node:net'

/**
 * As `socket.on('data', take)`, cheaper: while the socket flows and nothing of it waits, what comes goes to `take` from where the socket pushes it
 * into its stream. By way of the stream each read would cost an event, a look for more, and the round of ticks in which that look is taken; there is
 * nothing to look for, because a socket pushes by itself. Everything else is the stream's as ever: `pause` and `resume`, what is read after a `pause`, the end. No other
 * listener hears of what `take` was given. Answers what undoes it.
 */
export function onBytes(socket: Socket, take: (bytes: Buffer) => void): () => void {
  const push = socket.push.bind(socket)
  socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
    if (chunk === null || !socket.readableFlowing || socket.readableLength > 0) return push(chunk, encoding)
    take(chunk)
    return true
  }
  socket.on('data', take)
  return () => {
    socket.push = push
    socket.off('data', take)
  }
}
