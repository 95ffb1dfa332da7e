/** One listener of the network load balancer, which no emulator has: a PROXY v2 header, then the bytes of both directions. Knows nothing of them. */
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { forward } from '@postern/local/forward'

export interface Listener {
  readonly port: number
  /** Where new connections go from now on; until it is called they are closed. */
  forwardTo(port: number): void
  stop(): Promise<void>
}

/** Listens on a free port of 127.0.0.1. */
export async function startListener(): Promise<Listener> {
  let target: number | undefined
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): Socket => {
    sockets.add(socket)
    // What one side dies of, the other does too.
    return socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
  }
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    keep(client)
    if (target === undefined) return client.destroy()
    keep(forward(client, target, () => client.destroy()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    forwardTo(port) {
      target = port
    },
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
