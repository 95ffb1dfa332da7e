/** One request of a visitor by node:http, and its whole answer. */
import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'

const MAX_HEAD_BYTES = 1024 * 1024

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export interface Visit {
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: Buffer | string
  /** Keeps the connection; by default each visit has one of its own. */
  readonly agent?: Agent | false
  /** Takes answers that break the grammar of HTTP/1.1, as curl and browsers do. */
  readonly lenient?: boolean
}

/** @param url of a host that is this machine, whatever the system's resolver says of its name */
export function visit(
  url: string,
  { method = 'GET', headers = {}, body, agent = false, lenient = false }: Visit = {},
): Promise<Answer> {
  const { host, port, pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request({
      insecureHTTPParser: lenient,
      // Debug tools write heads that Node's 16 KiB would not hold.
      maxHeaderSize: MAX_HEAD_BYTES,
      ...{ host: '127.0.0.1', port, path: pathname + search, method },
      // Node frames no body of a DELETE by itself.
      headers: { host, ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }), ...headers },
      agent,
    })
    sent.once('error', reject)
    sent.once('response', (response) => {
      buffer(response).then(
        (bytes) => resolve({ status: response.statusCode!, headers: response.headers, body: bytes }),
        reject,
      )
    })
    sent.end(body)
  })
}
