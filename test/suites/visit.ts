/** One request of a visitor by node:http, and its whole answer. */
import { type Agent, type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import { buffer } from 'node:stream/consumers'

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
}

/** @param url of a host that is this machine, whatever the system's resolver says of its name */
export function visit(url: string, { method = 'GET', headers = {}, body, agent = false }: Visit = {}): Promise<Answer> {
  const { host, port, pathname, search } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request({
      ...{ host: '127.0.0.1', port, path: pathname + search, method },
      headers: { host, ...headers },
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
