/** Makes one path of two TCP connections: bytes both ways with backpressure, an end as an end, a reset as a reset. Knows nothing of what passes. */
import type { Socket } from 'node:net'
import { resetSocket } from '@postern/protocol/socket'

const NOTHING = Buffer.alloc(0)

/** Both were made with `allowHalfOpen`. What breaks one breaks the other. */
export function splice(near: Socket, far: Socket): void {
  pass(near, far)
  pass(far, near)
}

function pass(from: Socket, to: Socket): void {
  const broken = (): void => {
    from.destroy()
    reset(to)
  }
  from.pipe(to, { end: false })
  from.on('end', () => {
    // Node 20 can report a reset as an end; the system says so at the next write, and one of no bytes is not sent.
    if (!from.writable) to.end()
    else from.write(NOTHING, (error) => (error ? broken() : to.end()))
  })
  from.on('error', broken)
  from.on('close', () => {
    if (!from.readableEnded) reset(to)
  })
}

/** RST, where the transport has one to send: TLS has not. */
export function reset(socket: Socket): void {
  if ('encrypted' in socket) socket.destroy()
  else resetSocket(socket)
}
