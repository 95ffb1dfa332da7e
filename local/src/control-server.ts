/** Serves the control plane's app over node:http for the data plane on this machine. Knows nothing of what the app does. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { getRequestListener } from '@hono/node-server'

export type FetchHandler = (request: Request, sourceIp: string) => Response | Promise<Response>

export interface ControlServer {
  readonly port: number
  /** Until then every call is answered 503: the app needs the port of a data plane that needs the port of this server. */
  serve(handler: FetchHandler): void
  stop(): Promise<void>
}

export async function startControlServer(): Promise<ControlServer> {
  let handler: FetchHandler = () => new Response(undefined, { status: 503, headers: { 'retry-after': '1' } })
  const server = http.createServer(
    getRequestListener((request, { incoming }) => handler(request, sourceIpOf(incoming as http.IncomingMessage))),
  )
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    serve(next) {
      handler = next
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/**
 * The data plane on this machine sets X-Forwarded-For from the connection and drops what a visitor sent, so its last entry can
 * be believed here. Whoever reaches this loopback port without it is on this machine and may say what it likes.
 */
function sourceIpOf(request: http.IncomingMessage): string {
  const forwarded = request.headers['x-forwarded-for']
  const last = (Array.isArray(forwarded) ? forwarded.join(',') : forwarded)?.split(',').at(-1)?.trim()
  return last || (request.socket.remoteAddress ?? '')
}
