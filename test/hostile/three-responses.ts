/** Three requests and their responses, framed in every way HTTP/1.1 has, and a judge of each at both ends. Knows nothing of tunnels. */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { contentOf, fieldOf, readResponse } from '../support/http-message.ts'
import { visitUntilClosed } from './closing-visit.ts'

/**
 * What became of one response as a visitor sees it. `refused`: a whole answer of the tunnel's own. `short`: it looks whole
 * and is not, which must never be.
 */
export type Verdict = 'whole' | 'cut' | 'refused' | 'short'

/** Messages come in pieces a moment apart, so that each travels in a record of its own and a cut finds half a message delivered. */
const PIECES = 4
const PAUSE_MS = 2

const BODY = Buffer.from(Array.from({ length: 240 }, (_, i) => 97 + (i % 26)))
const UPLOAD = Buffer.from(Array.from({ length: 180 }, (_, i) => 65 + (i % 26)))

/** The local server. Counts what must never be: requests that look whole and are not. */
export class TraceOrigin {
  shortRequests = 0
  readonly #server: Server

  static async start(): Promise<TraceOrigin> {
    const origin = new TraceOrigin()
    origin.#server.listen(0, '127.0.0.1')
    await once(origin.#server, 'listening')
    return origin
  }

  private constructor() {
    this.#server = createServer((req, res) => void this.#serve(req, res))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  connections(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
    })
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const upload = await bodyOf(req)
    // 'cut' is what a broken path looks like here: the request never ended.
    if (upload === 'cut') return
    if (req.method === 'POST' && !upload.equals(UPLOAD)) this.shortRequests += 1
    if (req.url === '/length') await respond(res, { 'content-length': String(BODY.length) })
    else if (req.url === '/chunked') await respond(res, { trailer: 'x-sum' }, { 'x-sum': String(BODY.length) })
    else if (req.url === '/close') {
      res.useChunkedEncodingByDefault = false
      await respond(res, { connection: 'close' })
    } else await respondChunkedToAnybody(req)
  }
}

async function respond(
  res: ServerResponse,
  headers: Record<string, string>,
  trailers: Record<string, string> = {},
): Promise<void> {
  res.writeHead(200, headers)
  await inPieces(BODY, (piece) => res.write(piece))
  res.addTrailers(trailers)
  res.end()
}

/** As some servers do even to HTTP/1.0: the tunnel has to take the chunks off, and the visitor's only boundary is the end of the connection. */
async function respondChunkedToAnybody({ socket }: IncomingMessage): Promise<void> {
  socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n')
  await inPieces(BODY, (piece) => socket.write(`${piece.length.toString(16)}\r\n${piece.toString()}\r\n`))
  socket.end('0\r\n\r\n')
}

async function inPieces(message: Buffer, write: (piece: Buffer) => void): Promise<void> {
  const length = Math.ceil(message.length / PIECES)
  for (let at = 0; at < message.length; at += length) {
    write(message.subarray(at, at + length))
    await setTimeout(PAUSE_MS)
  }
}

/**
 * The visitor: one kept-alive connection for the first two requests, whose answers `node:http` judges; then one whose answer ends
 * with the connection, as HTTP/1.1 or as HTTP/1.0. Answers the three verdicts.
 */
export async function threeResponses(port: number, host: string, last: '/close' | '/old'): Promise<Verdict[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    return [
      await ask(agent, { port, host, method: 'GET', path: '/length' }),
      await ask(agent, { port, host, method: 'POST', path: '/chunked' }),
      await askClosing(port, host, last),
    ]
  } finally {
    agent.destroy()
  }
}

interface Asked {
  readonly port: number
  readonly host: string
  readonly method: 'GET' | 'POST'
  readonly path: '/length' | '/chunked'
}

function ask(agent: Agent, { port, host, method, path }: Asked): Promise<Verdict> {
  return new Promise((resolve) => {
    const headers = method === 'POST' ? { host, 'content-length': UPLOAD.length } : { host }
    const req = request({ agent, host: '127.0.0.1', port, method, path, headers }, async (res) => {
      const body = await bodyOf(res)
      if (body === 'cut') resolve('cut')
      else if (res.headers['tunnel-error'] !== undefined) resolve('refused')
      else resolve(body.equals(BODY) ? 'whole' : 'short')
    })
    req.on('error', () => resolve('cut'))
    if (method === 'POST') void inPieces(UPLOAD, (piece) => req.write(piece)).then(() => req.end())
    else req.end()
  })
}

/** The body of a message that came to its end, or that it did not. */
async function bodyOf(message: IncomingMessage): Promise<Buffer | 'cut'> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of message) chunks.push(chunk)
  } catch {
    return 'cut'
  }
  return message.complete ? Buffer.concat(chunks) : 'cut'
}

/**
 * The local server delimits both by its end. HTTP/1.1 gets the response in chunks; to HTTP/1.0, what came before a clean end of the
 * connection is the response. The request has an upload in chunks, or is of HTTP/1.0.
 */
async function askClosing(port: number, host: string, path: '/close' | '/old'): Promise<Verdict> {
  let text = ''
  const ending = await visitUntilClosed({
    port,
    ask: (socket) => {
      if (path === '/old') socket.write(`GET /old HTTP/1.0\r\nHost: ${host}\r\n\r\n`)
      else void upload(socket, host)
    },
    heard: (chunk) => {
      text += chunk.toString('latin1')
    },
  })
  if (path === '/old' && ending === 'RST') return 'cut'
  const response = readResponse(Buffer.from(text, 'latin1'), 0, { ended: true })
  if (response === undefined) return 'cut'
  if (fieldOf(response, 'tunnel-error') !== undefined) return 'refused'
  return contentOf(response).equals(BODY) ? 'whole' : 'short'
}

async function upload(socket: Socket, host: string): Promise<void> {
  socket.write(`POST /close HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n`)
  await inPieces(UPLOAD, (piece) => socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`))
  socket.write('0\r\n\r\n')
}
