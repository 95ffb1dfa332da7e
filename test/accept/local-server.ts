/** The local server behind the tunnels of this command. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export const GREETING = 'the acceptance run\n'
/** A response that does not end. */
export const STREAM_PATH = '/stream'
/** The addresses that the node gives for the visitor. */
export const VISITOR_PATH = '/visitor'

/** A response that is no HTTP. */
export const INVALID_PATH = '/invalid'

export interface LocalServer {
  readonly port: number
  stop(): Promise<void>
}

export async function startLocalServer(): Promise<LocalServer> {
  const server = createServer((request, response) => {
    if (request.url === INVALID_PATH) return void request.socket.end('no response\r\n\r\n')
    response.setHeader('content-type', 'text/plain')
    if (request.url === STREAM_PATH) response.write(GREETING)
    else if (request.url === VISITOR_PATH) response.end(String(request.headers['x-forwarded-for'] ?? ''))
    else response.end(GREETING)
  })
  server.listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
