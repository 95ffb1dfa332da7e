/** What the system has taken of the bytes that were written to a socket. Node tells it only by the handle. */
import type { Socket } from 'node:net'

interface Handle {
  /** Bytes that were given to the system. */
  readonly bytesWritten?: number
  /** Those of them that the system has not taken. */
  readonly writeQueueSize?: number
}

const handleOf = (socket: Socket): Handle | null | undefined =>
  (socket as Socket & { readonly _handle?: Handle | null })._handle

/** Whether bytes wait in the socket for the peer to read. */
export function isBlocked(socket: Socket): boolean {
  return handleOf(socket)?.writeQueueSize !== 0
}

/** Bytes that the system has taken so far: while a write is under way, Node itself counts all of it as waiting. */
export function acceptedBytes(socket: Socket): number {
  const { bytesWritten = 0, writeQueueSize = 0 } = handleOf(socket) ?? {}
  return bytesWritten - writeQueueSize
}
