/** A local server that tells in each answer over which channel the request came to it, and keeps a record of what reached it. Knows nothing of agents or channels. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import type { Delivered, Owner } from '../history/history.ts'
import type { EventSource } from './event-source.ts'

export interface OriginOptions {
  /** Over which channel requests come to this port; undefined where nobody asks. */
  owner?(): Owner | undefined
  /** A request has come, with its head. */
  delivered?(event: Delivered): void
  /** For `/events`. */
  readonly events?: EventSource
}

export interface WitnessOrigin {
  readonly port: number
  stop(): Promise<void>
}

/** How an answer names the channel: `task-3 1712345678901`. */
export const OWNER_FIELD = 'x-owner'

/**
 * `/r/<id>?ms=<n>&bytes=<n>`: after so long as many bytes, of which the last say the id. `/events`: server-sent events, resumed by
 * Last-Event-ID. An upgrade to WebSocket is answered, and each message echoed.
 */
export async function startWitnessOrigin(options: OriginOptions = {}): Promise<WitnessOrigin> {
  const { owner, delivered, events } = options
  const server = http.createServer((request, response) => {
    const url = new URL(request.url!, 'http://origin')
    if (url.pathname === '/events' && events) {
      request.resume()
      return events.serve(request, response)
    }
    const id = url.pathname.slice(3)
    const by = owner?.()
    delivered?.({ kind: 'delivered', at: performance.now(), id, method: request.method!, owner: by })
    request.resume()
    request.on('end', () => {
      const answer = (): void => {
        const body = `${'.'.repeat(Number(url.searchParams.get('bytes') ?? 0))}${id}`
        response.setHeader('content-length', Buffer.byteLength(body))
        if (by) response.setHeader(OWNER_FIELD, `${by.task} ${by.epoch}`)
        response.end(body)
      }
      const ms = Number(url.searchParams.get('ms') ?? 0)
      if (ms > 0) setTimeout(answer, ms)
      else answer()
    })
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket: WebSocket) => {
    socket.on('error', () => undefined)
    socket.on('message', (message) => socket.send(message))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets.clients) socket.terminate()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

export function ownerOf(field: string | string[] | undefined): Owner | undefined {
  const [task, epoch] = typeof field === 'string' ? field.split(' ') : []
  return task === undefined || epoch === undefined ? undefined : { task, epoch: Number(epoch) }
}
