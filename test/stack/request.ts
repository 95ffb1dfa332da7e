/** One request to 127.0.0.1 under whatever name, on a connection of its own. Knows nothing of what is asked. */
import { once } from 'node:events'
import http from 'node:http'
import { text } from 'node:stream/consumers'

const DEADLINE_MS = 20_000

export interface Question {
  readonly port: number
  /** For the Host field. */
  readonly host: string
  readonly path: string
  readonly method?: string
  readonly token?: string
  /** Sent as JSON. */
  readonly body?: unknown
}

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  /** From the first byte sent, connecting included, to the last received. */
  readonly ms: number
}

export async function ask({ port, host, path, method = 'GET', token, body }: Question): Promise<Answer> {
  const started = performance.now()
  const content = body === undefined ? undefined : JSON.stringify(body)
  const request = http.request({
    host: '127.0.0.1',
    port,
    path,
    method,
    agent: false,
    signal: AbortSignal.timeout(DEADLINE_MS),
    headers: {
      host,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(content !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(content),
      }),
    },
  })
  request.end(content)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const answer = await text(response)
  return { status: response.statusCode ?? 0, headers: response.headers, body: answer, ms: performance.now() - started }
}
