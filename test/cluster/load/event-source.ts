/** Server-sent events (HTML Living Standard §9.2) that begin where a client says it lost them. Knows nothing of who listens. */
import type { IncomingMessage, ServerResponse } from 'node:http'

export interface EventSource {
  /** Every event from the one behind Last-Event-ID on, or from now on. */
  serve(request: IncomingMessage, response: ServerResponse): void
  stop(): void
}

export function startEventSource(everyMs: number): EventSource {
  let count = 0
  const streams = new Set<ServerResponse>()
  const write = (response: ServerResponse, id: number): void => {
    response.write(`id: ${id}\ndata: event ${id}\n\n`)
  }
  const timer = setInterval(() => {
    count += 1
    for (const response of streams) write(response, count)
  }, everyMs)
  return {
    serve(request, response) {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
      const last = request.headers['last-event-id']
      for (let id = last === undefined ? count : Number(last) + 1; id <= count; id += 1) write(response, id)
      streams.add(response)
      response.on('close', () => streams.delete(response))
    },
    stop() {
      clearInterval(timer)
      for (const response of streams) response.destroy()
    },
  }
}
