/** One listener of the network load balancer, which no emulator has: a PROXY v2 header, then the bytes of both directions. Knows nothing of them. */
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

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
    const task = keep(net.connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }))
    task.write(proxyHeader(client))
    client.pipe(task).pipe(client)
    client.once('close', () => task.destroy())
    task.once('close', () => client.destroy())
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

/** haproxy.org/download/2.9/doc/proxy-protocol.txt §2.2: version 2, PROXY, TCP over IPv4. */
function proxyHeader({ remoteAddress, remotePort, localAddress, localPort }: Socket): Buffer {
  const header = Buffer.alloc(28)
  SIGNATURE.copy(header)
  header.set([0x21, 0x11, 0, 12], 12)
  header.set(octets(remoteAddress), 16)
  header.set(octets(localAddress), 20)
  header.writeUInt16BE(remotePort ?? 0, 24)
  header.writeUInt16BE(localPort ?? 0, 26)
  return header
}

const octets = (address = '0.0.0.0'): number[] => address.split('.').map(Number)
