/** A visitor by HTTP/2 under test: its connection, and what it sees of each of its requests. Knows nothing of the listener. */
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { expect, onTestFinished, vi } from 'vitest'

/** With prior knowledge. It is gone when the test is over. */
export function visit(
  port: number,
  options: ClientSessionOptions & { localAddress?: string } = {},
): ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${port}`, options)
  session.on('error', () => {})
  onTestFinished(() => session.destroy())
  return session
}

/** What a visitor sees of one request, to demo.example.com unless told. */
export class SeenRequest {
  readonly stream: ClientHttp2Stream
  readonly interim: number[] = []
  headers: Record<string, unknown> = {}
  trailers: Record<string, unknown> | undefined
  text = ''
  ended = false
  readonly closed: Promise<unknown>

  /** `body`: false where the test sends it; without one the head ends the request. */
  constructor(session: ClientHttp2Session, fields: OutgoingHttpHeaders, body?: string | false) {
    this.stream = session.request(
      { ':authority': 'demo.example.com', ':path': '/', ':scheme': 'https', ...fields },
      { endStream: body === undefined },
    )
    if (typeof body === 'string') this.stream.end(body)
    this.stream.on('error', () => {})
    this.stream.on('headers', (headers) => this.interim.push(Number(headers[':status'])))
    this.stream.on('response', (headers) => {
      this.headers = headers
    })
    this.stream.on('trailers', (headers) => {
      this.trailers = headers
    })
    this.stream.on('data', (chunk) => {
      this.text += chunk
    })
    this.stream.on('end', () => {
      this.ended = true
    })
    this.closed = new Promise((resolve) => this.stream.on('close', () => resolve(undefined)))
  }

  get status(): unknown {
    return this.headers[':status']
  }
}

/** For what tells nobody when it happens. */
export const until = (holds: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(holds()).toBe(true), { timeout: 30_000 })
