/** Two ends of one TCP connection over 127.0.0.1. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface SocketPair extends AsyncDisposable {
  readonly near: Socket
  readonly far: Socket
}

export async function socketPair(): Promise<SocketPair> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const near = connect((server.address() as { port: number }).port, '127.0.0.1')
  const [[far]] = await Promise.all([accepted, once(near, 'connect')])
  server.close()
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.destroy()
      far.destroy()
    },
  }
}
