/** Local servers that answer before the end of an upload and close: their answer arrives each time, as it does without the tunnel. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, statusOf } from '../support/http-message.ts'
import { askByHttp2, visitByHttp2 } from '../support/http2-visits.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'

const TIMES = 20
const UPLOAD_BYTES = 3 * 1024 * 1024

/** What each local server does when it has read the head of a request. */
const SERVERS: Record<string, { status: number; content: string; act(socket: Socket): void }> = {
  'answers 501 and closes, as http.server of Python does': {
    status: 501,
    content: 'Unsupported method',
    act: (socket) =>
      socket.end('HTTP/1.0 501 Unsupported\r\nConnection: close\r\nContent-Length: 18\r\n\r\nUnsupported method', () =>
        socket.destroy(),
      ),
  },
  'answers 403 in chunks and closes': {
    status: 403,
    content: 'Forbidden',
    act: (socket) =>
      socket.end(
        'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n9\r\nForbidden\r\n0\r\n\r\n',
        () => socket.destroy(),
      ),
  },
  'answers 413 with a page and resets': {
    status: 413,
    content: 'x'.repeat(20_000),
    act: (socket) =>
      socket.write(`HTTP/1.1 413 Too Large\r\nContent-Length: 20000\r\n\r\n${'x'.repeat(20_000)}`, () =>
        socket.resetAndDestroy(),
      ),
  },
  'answers 401 and closes a moment later': {
    status: 401,
    content: 'Who?',
    act: (socket) =>
      void socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nWho?', () =>
        setImmediate(() => socket.destroy()),
      ),
  },
}

let system: System
const cleanups: (() => unknown)[] = []
beforeAll(async () => {
  system = await startSystem()
})
afterAll(async () => {
  await system?.stop()
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function startServer(act: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    let head = ''
    const read = (): void => {
      const chunk = socket.read(4096) as Buffer | null
      head += chunk?.toString('latin1') ?? ''
      if (!head.includes('\r\n\r\n')) return
      // Nothing of the body is read: the close is a reset.
      socket.off('readable', read)
      act(socket)
    }
    socket.on('readable', read)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function uploadTo(port: number, host: string): Promise<string> {
  const client = await HttpClient.open(port)
  client.connection.socket.on('error', () => {})
  client.send(`POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${UPLOAD_BYTES}\r\n\r\n`)
  // In pieces, so that the answer comes between them.
  const piece = Buffer.alloc(64 * 1024, 'u')
  for (let sent = 0; sent < UPLOAD_BYTES && client.connection.ending === 'open'; sent += piece.length) {
    client.send(piece)
    await new Promise((resolve) => setImmediate(resolve))
  }
  try {
    const { response } = await client.answer('POST')
    return `${statusOf(response)} ${contentOf(response).toString('latin1')}`
  } finally {
    client.close()
  }
}

describe.each(Object.entries(SERVERS))('a local server that %s', (_title, { status, content, act }) => {
  let port: number
  let agent: RunningAgent
  beforeAll(async () => {
    port = await startServer(act)
    agent = await system.startAgent({ target: port, subdomain: `early${status}` })
  })

  const wanted = `${status} ${content}`

  test(`its answer arrives in ${TIMES} of ${TIMES} uploads by HTTP/1.1`, async () => {
    const got: string[] = []
    for (let time = 0; time < TIMES; time++) got.push(await uploadTo(system.publicPort, agent.host))
    expect(got).toEqual(got.map(() => wanted))
  })

  test(`its answer arrives in ${TIMES} of ${TIMES} uploads by HTTP/2`, async () => {
    const got: string[] = []
    for (let time = 0; time < TIMES; time++) {
      // The rest of an upload that is refused is still under way for a while.
      const session = visitByHttp2(system)
      const fields = { ':authority': agent.host, ':path': '/upload', ':method': 'POST' }
      const answer = await askByHttp2(session, fields, Buffer.alloc(UPLOAD_BYTES, 'u'))
      got.push(`${answer.status} ${answer.body}`)
      session.destroy()
    }
    expect(got).toEqual(got.map(() => wanted))
  })
})
