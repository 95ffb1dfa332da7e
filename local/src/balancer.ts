/** The load balancer of this machine: each new connection leads to a task drawn at random, behind a PROXY header. Knows nothing of subdomains, nor of what runs in a task. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import { forward } from './forward.ts'

/** Where a task listens, on 127.0.0.1. */
export interface TaskPorts {
  readonly publicPort: number
  readonly channelPort: number
}

export interface BalancerOptions {
  /** Where visitors connect. */
  readonly publicHosts: readonly string[]
  readonly publicPort: number
  /** Uniform in [0, 1). */
  random(): number
}

export interface Balancer {
  /** Where agents connect, on 127.0.0.1. */
  readonly channelPort: number
  /** New connections lead to this task too. @returns they no longer do; those that stand stay */
  add(task: TaskPorts): () => void
  /** Cuts whatever stands. */
  stop(): Promise<void>
}

/** @throws TunnelFault `port-taken` */
export async function startBalancer({ publicHosts, publicPort, random }: BalancerOptions): Promise<Balancer> {
  const tasks = new Set<TaskPorts>()
  const sockets = new Set<Socket>()
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => undefined).once('close', () => sockets.delete(socket))
  }
  const lead = (client: Socket, portOf: (task: TaskPorts) => number): void => {
    keep(client)
    const task = [...tasks][Math.floor(random() * tasks.size)]
    if (!task) client.destroy()
    else keep(forward(client, portOf(task), () => client.destroy()))
  }
  const listener = (portOf: (task: TaskPorts) => number): Server =>
    createServer({ allowHalfOpen: true, noDelay: true }, (client) => lead(client, portOf))

  const channels = listener((task) => task.channelPort)
  const visitors = publicHosts.map(() => listener((task) => task.publicPort))
  const stop = async (): Promise<void> => {
    // One that never came to listen has nothing to close, and says so.
    const closed = [channels, ...visitors].map((server) => new Promise((resolve) => server.close(resolve)))
    for (const socket of sockets) socket.destroy()
    await Promise.all(closed)
  }
  try {
    await listen(channels, '127.0.0.1', 0)
    for (const [index, host] of publicHosts.entries()) await listen(visitors[index]!, host, publicPort)
  } catch (error) {
    await stop()
    throw error
  }
  return {
    channelPort: (channels.address() as AddressInfo).port,
    add(task) {
      tasks.add(task)
      return () => tasks.delete(task)
    },
    stop,
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(new TunnelFault('port-taken', `It is ${host}:${port}.`, { cause })))
    server.listen({ host, port }, resolve)
  })
}
