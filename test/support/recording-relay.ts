/** A man in the middle of TCP connections: passes every byte on and keeps it. Knows nothing of what the bytes mean. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

interface Recording {
  /** From whoever connected. */
  readonly fromClient: Buffer[]
  readonly fromServer: Buffer[]
}

export interface RecordingRelay {
  readonly port: number
  /** One for each connection, in the order they came. */
  readonly recordings: readonly Recording[]
  stop(): Promise<void>
}

/** Relays to `target`, which is asked at each connection. */
export async function startRecordingRelay(
  target: () => { readonly host: string; readonly port: number },
): Promise<RecordingRelay> {
  const recordings: Recording[] = []
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (client) => {
    const recording: Recording = { fromClient: [], fromServer: [] }
    recordings.push(recording)
    const upstream = connect({ ...target(), noDelay: true })
    relay(client, upstream, recording.fromClient)
    relay(upstream, client, recording.fromServer)
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket))
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    recordings,
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

function relay(from: Socket, to: Socket, kept: Buffer[]): void {
  from.on('data', (bytes) => {
    kept.push(bytes)
    to.write(bytes)
  })
  from.on('end', () => to.end())
  // Whatever cut one side cuts the other.
  from.on('error', () => {})
  from.on('close', () => to.destroy())
}
