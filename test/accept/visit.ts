/** Sends one request to the public URL of a tunnel, as a visitor does. */
import http from 'node:http'
import https from 'node:https'
import type { Deployment } from './deployment.ts'

export interface VisitOptions {
  /** With the path. */
  readonly url: URL
  readonly visitors: Deployment['visitors']
  /** Connections to reuse; without it the request has a connection of its own. */
  readonly agent?: http.Agent | undefined
  readonly family?: 4 | 6
}

export interface Answer {
  readonly status: number
  readonly requestId: string | undefined
  readonly body: string
  /** Address of this end of the connection. */
  readonly localAddress: string | undefined
  /** Undefined: the response is complete and from the local server. */
  readonly failure: string | undefined
}

const PATIENCE_MS = 30_000
/** The local server's answers are far shorter. */
const BODY_CHARACTERS = 64 * 1024

/** A kept-alive agent for this URL. */
export const agentFor = ({ protocol }: URL, maxSockets: number): http.Agent =>
  new (protocol === 'https:' ? https : http).Agent({ keepAlive: true, maxSockets })

export function startRequest({ url, visitors, agent, family }: VisitOptions): http.ClientRequest {
  const { protocol, hostname, port, host, pathname, search } = url
  return (protocol === 'https:' ? https : http).request({
    host: visitors?.address ?? hostname,
    port: visitors?.port ?? (port || undefined),
    servername: hostname,
    path: `${pathname}${search}`,
    headers: { host },
    agent: agent ?? false,
    family,
  })
}

/** Never rejects: whatever happens is an answer. */
export function visit(options: VisitOptions): Promise<Answer> {
  return new Promise((resolve) => {
    const request = startRequest(options)
    let [status, requestId, localAddress, body] = [
      0,
      undefined as string | undefined,
      undefined as string | undefined,
      '',
    ]
    const patience = setTimeout(
      () => request.destroy(new Error(`no response within ${PATIENCE_MS / 1000} s`)),
      PATIENCE_MS,
    )
    const end = (failure: string | undefined): void => {
      clearTimeout(patience)
      resolve({ status, requestId, localAddress, body, failure })
    }
    request.on('response', (response) => {
      status = response.statusCode!
      localAddress = request.socket?.localAddress
      const { 'postern-request-id': id, 'tunnel-error': fault } = response.headers
      if (typeof id === 'string') requestId = id
      response.setEncoding('utf8').on('data', (text: string) => {
        if (body.length < BODY_CHARACTERS) body += text
      })
      // An error of the response is followed by its end, at which `complete` is false.
      response.on('error', () => undefined)
      response.on('close', () => {
        if (!response.complete) end(`${status} cut`)
        else end(status === 200 ? undefined : `${status} ${fault ?? ''}`.trimEnd())
      })
    })
    request.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    request.end()
  })
}
