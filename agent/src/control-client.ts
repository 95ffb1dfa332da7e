/** The two calls of the control API that an agent makes. Knows nothing of channels, retries or terminals. */
import { type Account, accountSchema, faultOf, type TicketRequest } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { API_BODY_BYTES, CONTROL_CALL_TIMEOUT_MS } from '@postern/protocol/limits'
import { type ChannelTicket, channelTicketSchema, type Secret } from '@postern/protocol/ticket'

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
      const response = await fetch(server + path, {
        method,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token.reveal()}`,
          'user-agent': `tunnel-agent/${version}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // A redirect would carry the token to wherever it leads.
        redirect: 'manual',
        signal: AbortSignal.any([signal, deadline]),
      })
      const answer = parseJson(await readText(response))
      if (response.ok) return answer
      throw (
        faultOf(answer) ??
        this.#unreachable(`answered ${response.status} without saying why; is this the tunnel service?`)
      )
    } catch (error) {
      if (error instanceof TunnelFault) throw error
      if (signal.aborted) throw signal.reason
      if (deadline.aborted) throw this.#unreachable(`no answer within ${CONTROL_CALL_TIMEOUT_MS} ms`, error)
      throw this.#unreachable(reasonOf(error), error)
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

/** @throws if the answer is longer than any answer of the API */
async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    if (bytes > API_BODY_BYTES) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whatever stands there, it is no answer of the API: the schema says so.
    return undefined
  }
}

/** fetch says "fetch failed" and hides what happened in its cause, sometimes one for each address. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause
  return cause instanceof Error ? cause.message : error.message
}
