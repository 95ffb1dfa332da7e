/** A balancer before tasks that come and go: new connections lead to those that it is told, one that stands stays where it is. The client's address is kept. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Balancer {
  readonly port: number
  /** Where new connections lead from now on: of several ports to each in turn. */
  lead(...ports: readonly number[]): void
  stop(): Promise<void>
}

export async function startBalancer(first: number): Promise<Balancer> {
  let targets: readonly number[] = [first]
  let turn = 0
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
    const { remoteAddress: localAddress } = client
    if (localAddress === undefined) return client.destroy()
    const task = connect({
      host: '127.0.0.1',
      port: targets[turn++ % targets.length]!,
      localAddress,
      noDelay: true,
      allowHalfOpen: true,
    })
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
    lead(...ports) {
      targets = ports
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
