/** A local server that bears nothing: it keeps every whole request, and all that is none. Knows nothing of tunnels, and shares no parser with them. */
import { type AddressInfo, createServer, type Socket } from 'node:net'

export interface StrictRequest {
  readonly startLine: string
  readonly lines: readonly string[]
  /** As it was sent: chunk sizes, extensions and trailers included. */
  readonly body: string
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const REQUEST_LINE = new RegExp(`^${TOKEN} [\\x21-\\x7e]+ HTTP/1\\.[01]$`)
const FIELD_LINE = new RegExp(
  `^${TOKEN}: (?:[\\x21-\\x7e\\x80-\\xff](?:[\\t\\x20-\\x7e\\x80-\\xff]*[\\x21-\\x7e\\x80-\\xff])?)?$`,
)
const CHUNK_LINE = new RegExp(`^([0-9A-Fa-f]+)(?:;${TOKEN}(?:=(?:${TOKEN}|"(?:[^"\\\\\\r\\n]|\\\\[^\\r\\n])*"))?)*$`)

export class StrictOrigin {
  readonly port: number
  /** Whole and sound, in the order they ended. */
  readonly requests: StrictRequest[] = []
  /** What a connection ended with, if that was the beginning of a request and no more. */
  readonly fragments: string[] = []
  /** What no request begins with. */
  readonly violations: string[] = []
  /** Connections that are open. */
  readonly sockets = new Set<Socket>()
  readonly stop: () => Promise<void>

  private constructor(port: number, stop: () => Promise<void>) {
    this.port = port
    this.stop = stop
  }

  static async start(): Promise<StrictOrigin> {
    let origin: StrictOrigin | undefined
    const server = createServer({ noDelay: true }, (socket) => origin!.#serve(socket))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const stop = async (): Promise<void> => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of origin!.sockets) socket.destroy()
      await closed
    }
    origin = new StrictOrigin((server.address() as AddressInfo).port, stop)
    return origin
  }

  #serve(socket: Socket): void {
    let waiting = ''
    this.sockets.add(socket)
    // 'close' follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.sockets.delete(socket)
      if (waiting !== '') this.fragments.push(waiting)
    })
    socket.on('data', (bytes) => {
      waiting += bytes.toString('latin1')
      try {
        for (let end = this.#readRequest(socket, waiting); end > 0; end = this.#readRequest(socket, waiting))
          waiting = waiting.slice(end)
      } catch (error) {
        this.violations.push(`${(error as Error).message}: ${JSON.stringify(waiting)}`)
        waiting = ''
        socket.destroy()
      }
    })
  }

  /** Where the request that `text` begins with ends, once it is answered; 0 while it is incomplete. @throws Error if it is none */
  #readRequest(socket: Socket, text: string): number {
    if (text === '') return 0
    const headEnd = text.indexOf('\r\n\r\n')
    if (headEnd < 0) return 0
    const [startLine = '', ...lines] = text.slice(0, headEnd).split('\r\n')
    if (!REQUEST_LINE.test(startLine)) throw new Error('no request line')
    for (const line of lines) if (!FIELD_LINE.test(line)) throw new Error(`no field line: ${line}`)
    const bodyAt = headEnd + 4
    const end = bodyEnd(text, bodyAt, lines)
    if (end === undefined) return 0
    this.requests.push({ startLine, lines, body: text.slice(bodyAt, end) })
    this.#answer(socket, startLine, lines)
    return end
  }

  /** With the target. */
  #answer(socket: Socket, startLine: string, lines: readonly string[]): void {
    const [method = '', target = '', version] = startLine.split(' ')
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${method === 'HEAD' ? '' : target}`)
    if (version === 'HTTP/1.0' || valuesOf(lines, 'connection').includes('close')) socket.end()
  }
}

const valuesOf = (lines: readonly string[], name: string): string[] =>
  lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 2))

function bodyEnd(text: string, from: number, lines: readonly string[]): number | undefined {
  if (valuesOf(lines, 'host').length !== 1) throw new Error('not one Host')
  const lengths = valuesOf(lines, 'content-length')
  const codings = valuesOf(lines, 'transfer-encoding')
  if (lengths.length + codings.length > 1) throw new Error('framed twice')
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') throw new Error('another coding')
    return chunkedEnd(text, from)
  }
  if (lengths.length === 0) return from
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(lengths[0]!)) throw new Error('no length')
  const end = from + Number(lengths[0])
  return end <= text.length ? end : undefined
}

function chunkedEnd(text: string, from: number): number | undefined {
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const size = CHUNK_LINE.exec(text.slice(at, lineEnd))?.[1]
    if (size === undefined) throw new Error('no chunk')
    at = lineEnd + 2
    const bytes = Number.parseInt(size, 16)
    if (bytes === 0) return trailerEnd(text, at)
    at += bytes + 2
    if (at > text.length) return undefined
    if (text.slice(at - 2, at) !== '\r\n') throw new Error('no end of a chunk')
  }
}

function trailerEnd(text: string, from: number): number | undefined {
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    if (lineEnd === at) return at + 2
    if (!FIELD_LINE.test(text.slice(at, lineEnd).replace(/:\s*/, ': '))) throw new Error('no trailer')
    at = lineEnd + 2
  }
}
