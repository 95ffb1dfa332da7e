/** The two calls of the control API that an agent makes. Knows nothing of channels, retries or terminals. */
import http from 'node:http'
import https from 'node:https'
import { type Account, accountSchema, faultOf, type TicketRequest } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { API_BODY_BYTES, CONTROL_CALL_TIMEOUT_MS } from '@postern/protocol/limits'
import { type ChannelTicket, channelTicketSchema, type Secret } from '@postern/protocol/ticket'
import { messageOf } from './network-error.ts'

export interface ControlClientOptions {
  /** Origin, as `parseServer` gives it. */
  readonly server: string
  readonly token: Secret
  /** For the User-Agent field. */
  readonly version: string
}

export class ControlClient {
  readonly #options: ControlClientOptions

  constructor(options: ControlClientOptions) {
    this.#options = options
  }

  /**
   * `GET /v1/me`: whose token this is.
   * @throws TunnelFault what the server said, or `server-unreachable`; `signal.reason` when aborted
   */
  async account(signal: AbortSignal): Promise<Account> {
    return this.#parsed(accountSchema, await this.#call('GET', '/v1/me', undefined, signal))
  }

  /**
   * `POST /v1/tickets`: step 1 of the protocol.
   * @throws TunnelFault what the server said, or `server-unreachable`; `signal.reason` when aborted
   */
  async ticket(request: TicketRequest, signal: AbortSignal): Promise<ChannelTicket> {
    return this.#parsed(channelTicketSchema, await this.#call('POST', '/v1/tickets', request, signal))
  }

  async #call(method: string, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const { server, token, version } = this.#options
    const deadline = AbortSignal.timeout(CONTROL_CALL_TIMEOUT_MS)
    try {
      const { status, text } = await exchange(new URL(path, server), {
        method,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token.reveal()}`,
          'user-agent': `tunnel-agent/${version}`,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.any([signal, deadline]),
      })
      const answer = parseJson(text)
      if (status >= 200 && status < 300) return answer
      throw faultOf(answer) ?? this.#unreachable(`answered ${status} without saying why; is this the tunnel service?`)
    } catch (error) {
      if (error instanceof TunnelFault) throw error
      if (signal.aborted) throw signal.reason
      if (deadline.aborted) throw this.#unreachable(`no answer within ${CONTROL_CALL_TIMEOUT_MS} ms`, error)
      throw this.#unreachable(messageOf(error), error)
    }
  }

  #parsed<T>(
    schema: { safeParse(data: unknown): { success: boolean; data?: T; error?: unknown } },
    answer: unknown,
  ): T {
    const parsed = schema.safeParse(answer)
    if (parsed.success) return parsed.data as T
    throw this.#unreachable('the answer is not one of a tunnel service', parsed.error)
  }

  #unreachable(why: string, cause?: unknown): TunnelFault {
    return new TunnelFault('server-unreachable', `${this.#options.server}: ${why}.`, { cause })
  }
}

interface Call {
  readonly method: string
  readonly headers: http.OutgoingHttpHeaders
  readonly body: string | undefined
  readonly signal: AbortSignal
}

/**
 * One request. Not by `fetch`, which refuses some thirty ports that a service may well listen on; and a redirect is an
 * answer like any other here: followed, it would carry the token to wherever it leads.
 *
 * @throws what the connection died of, also if the answer is longer than any answer of the API
 */
async function exchange(url: URL, { method, headers, body, signal }: Call): Promise<{ status: number; text: string }> {
  const content =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const client = url.protocol === 'https:' ? https : http
  const request = client.request(url, { method, headers: { ...headers, ...content }, signal })
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject).end(body)
  })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > API_BODY_BYTES) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whatever stands there, it is no answer of the API: the schema says so.
    return undefined
  }
}
