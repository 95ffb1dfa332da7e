import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { patternedPieces } from '../support/patterned-bytes.ts'
import { PATIENCE_MS, RawConnection } from '../support/raw-connection.ts'
import { type System, startSystem } from '../support/start-system.ts'

const MiB = 1024 * 1024

let system: System
let server: Server
let sockets: WebSocketServer
let host: string
/** Takes the next request that is no upgrade. */
let answer: (request: IncomingMessage, response: ServerResponse) => void

beforeAll(async () => {
  server = createServer((request, response) => answer(request, response))
  sockets = new WebSocketServer({ noServer: true, maxPayload: 32 * MiB })
  server.on('upgrade', (request, socket, head) => {
    if (request.url === '/forbidden') {
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
      return
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('message', (message, isBinary) => webSocket.send(message, { binary: isBinary }))
      sockets.emit('connection', webSocket)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  system = await startSystem()
  const target = (server.address() as AddressInfo).port
  host = (await system.startAgent({ subdomain: 'streams', target })).host
})

afterAll(async () => {
  await system?.stop()
  server?.closeAllConnections()
  server?.close()
})

const openWebSocket = (path: string): WebSocket =>
  new WebSocket(`ws://127.0.0.1:${system.publicPort}${path}`, { headers: { host }, maxPayload: 32 * MiB })

/** Both ends of one, open. */
async function webSocketPair(): Promise<{ visitor: WebSocket; local: WebSocket }> {
  const accepted = once(sockets, 'connection')
  const visitor = openWebSocket('/echo')
  await once(visitor, 'open')
  const [local] = (await accepted) as [WebSocket]
  return { visitor, local }
}

describe('server-sent events', () => {
  test('each arrives before the next one is sent', async () => {
    const streaming = new Promise<ServerResponse>((resolve) => {
      answer = (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
        resolve(response)
      }
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(`GET /events HTTP/1.1\r\nHost: ${host}\r\nAccept: text/event-stream\r\n\r\n`)
    const response = await streaming
    // The head alone is already there, before any event.
    await visitor.saw('\r\n\r\n')
    for (let event = 1; event <= 20; event++) {
      response.write(`id: ${event}\ndata: event ${event}\n\n`)
      await visitor.saw(`data: event ${event}\n\n`)
    }
    response.end()
    await visitor.saw('\r\n0\r\n\r\n')
    visitor.close()
  })

  test('an upload arrives piece by piece, too, and the answer may begin before it ends', async () => {
    const arriving = new Promise<{ request: IncomingMessage; response: ServerResponse }>((resolve) => {
      answer = (request, response) => resolve({ request, response })
    })
    const visitor = await RawConnection.open(system.publicPort)
    visitor.write(`POST /talk HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n`)
    const { request, response } = await arriving
    request.setEncoding('latin1')
    for (let turn = 1; turn <= 10; turn++) {
      const heard = once(request, 'data')
      visitor.write(`6\r\ntalk ${turn % 10}\r\n`)
      expect(await heard).toEqual([`talk ${turn % 10}`])
      response.write(`turn ${turn};`)
      await visitor.saw(`turn ${turn};`)
    }
    visitor.write('0\r\n\r\n')
    request.on('end', () => response.end())
    request.resume()
    await visitor.saw('\r\n0\r\n\r\n')
    visitor.close()
  })
})

describe('WebSocket', () => {
  test('messages of 16 MiB come back as they were sent, and text stays text', async () => {
    const { visitor } = await webSocketPair()
    const large = Buffer.concat([...patternedPieces(16 * MiB)])
    for (const round of [1, 2]) {
      const echoed = once(visitor, 'message')
      visitor.send(large)
      const [message, isBinary] = (await echoed) as [Buffer, boolean]
      expect(isBinary).toBe(true)
      expect(message.equals(large), `round ${round}`).toBe(true)
    }
    const echoed = once(visitor, 'message')
    visitor.send('grüße')
    const [message, isBinary] = (await echoed) as [Buffer, boolean]
    expect([message.toString(), isBinary]).toEqual(['grüße', false])
    visitor.terminate()
  })

  test('a thousand small messages keep their order', async () => {
    const { visitor } = await webSocketPair()
    const echoes: string[] = []
    const all = new Promise<void>((resolve) => {
      visitor.on('message', (message) => {
        echoes.push(String(message))
        if (echoes.length === 1000) resolve()
      })
    })
    for (let count = 0; count < 1000; count++) visitor.send(String(count))
    await all
    expect(echoes).toEqual(Array.from({ length: 1000 }, (_, count) => String(count)))
    visitor.terminate()
  })

  test('a close travels with its code and reason, from either side', async () => {
    for (const side of ['visitor', 'local'] as const) {
      const pair = await webSocketPair()
      const seen = once(pair[side === 'visitor' ? 'local' : 'visitor'], 'close')
      pair[side].close(4001, 'enough')
      const [code, reason] = (await seen) as [number, Buffer]
      expect([code, reason.toString()], side).toEqual([4001, 'enough'])
    }
  })

  test('one side that vanishes is a closed socket for the other, before any time limit', async () => {
    for (const side of ['visitor', 'local'] as const) {
      const pair = await webSocketPair()
      const seen = once(pair[side === 'visitor' ? 'local' : 'visitor'], 'close')
      const left = performance.now()
      pair[side].terminate()
      await seen
      expect(performance.now() - left, side).toBeLessThan(PATIENCE_MS)
    }
  })

  test('a refused upgrade is an ordinary answer', async () => {
    const visitor = openWebSocket('/forbidden')
    const [, response] = (await once(visitor, 'unexpected-response')) as [unknown, IncomingMessage]
    expect(response.statusCode).toBe(403)
    expect(response.headers['tunnel-error']).toBeUndefined()
    visitor.on('error', () => {})
    visitor.terminate()
  })
})
