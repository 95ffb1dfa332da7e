/** The local server that `npm start` opens a tunnel to: shows each request as it arrived, and counts by server-sent events. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { demoPage } from './demo-page.ts'

export interface DemoServer {
  readonly port: number
  /** Ends the event streams and lets other answers finish. */
  stop(): Promise<void>
}

const TICK_MS = 1000

export async function startDemoServer(): Promise<DemoServer> {
  const streams = new Set<http.ServerResponse>()
  const server = http.createServer((request, response) => {
    if (request.url === '/events') countFor(request, response, streams)
    else show(request, response)
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const response of streams) response.end()
        server.closeIdleConnections()
      }),
  }
}

function show(request: http.IncomingMessage, response: http.ServerResponse): void {
  let bodyBytes = 0
  request.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length
  })
  request.on('end', () => {
    const { method = '', url = '', httpVersion, rawHeaders } = request
    const fields: [string, string][] = []
    for (let i = 0; i < rawHeaders.length; i += 2) fields.push([rawHeaders[i]!, rawHeaders[i + 1]!])
    const seen = { method, url, httpVersion, fields, bodyBytes }
    const wantsHtml = request.headers.accept?.includes('text/html') ?? false
    const body = wantsHtml ? demoPage(seen) : asText(seen)
    response.writeHead(200, {
      'content-type': wantsHtml ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
    })
    response.end(body)
  })
}

function countFor(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  streams: Set<http.ServerResponse>,
): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  let count = 0
  const tick = (): void => {
    count += 1
    response.write(`id: ${count}\ndata: ${count}\n\n`)
  }
  tick()
  const timer = setInterval(tick, TICK_MS)
  streams.add(response)
  request.resume()
  response.on('close', () => {
    clearInterval(timer)
    streams.delete(response)
  })
}

export interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly httpVersion: string
  readonly fields: readonly (readonly [string, string])[]
  readonly bodyBytes: number
}

function asText({ method, url, httpVersion, fields, bodyBytes }: SeenRequest): string {
  const head = [`${method} ${url} HTTP/${httpVersion}`, ...fields.map(([name, value]) => `${name}: ${value}`)]
  return `Your request came through the tunnel. The local server saw:\n\n${head.join('\n')}\n\n(${bodyBytes} bytes of body)\n`
}
