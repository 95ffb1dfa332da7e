/** A balancer before tasks that come and go: a new connection leads to the newest, one that stands stays where it is. The client's address is kept. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  readonly port: number
  /** Where new connections lead from now on. */
  lead(port: number): void
  stop(): Promise<void>
}

export async function startBalancer(first: number): Promise<Balancer> {
  let target = first
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const { remoteAddress: localAddress } = client
    if (localAddress === undefined) return client.destroy()
    const task = connect({ host: '127.0.0.1', port: target, localAddress, noDelay: true, allowHalfOpen: true })
    for (const [from, to] of [
      [client, task],
      [task, client],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      // What breaks one side breaks the other, which hears of it by its end.
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        if (!from.readableEnded) to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    lead(port) {
      target = port
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
