/** Makes a call of the control API by its name. Knows nothing of retries, profiles or terminals. */
import * as z from 'zod/mini'
import { OPERATIONS, type Operation, type OperationId } from '../api/operations.ts'
import { faultOf } from '../api/problem.ts'
import { TunnelFault } from '../fault.ts'
import { CONTROL_CALL_TIMEOUT_MS } from '../limits.ts'
import type { Secret } from '../ticket/secret.ts'
import { type Exchanged, exchange } from './exchange.ts'

export interface ApiClientOptions {
  /** Origin, as `parseServer` gives it. */
  readonly server: string
  readonly token: Secret
  /** For the User-Agent field: `tunnel-agent/1.2.3`. */
  readonly program: string
}

/** Of a balancer or API Gateway before the service: too many calls, or none that answers just now. */
const BUSY_STATUSES: ReadonlySet<number> = new Set([429, 502, 503, 504])
/** Of API Gateway, whose function has failed or run out of time: an answer of this kind alone has `message`. */
const FAILED_STATUS = 500
const GATEWAY_ANSWER = z.strictObject({ message: z.string() })

/** Of a caller that never gives up before the call's own deadline. */
const UNENDED = new AbortController().signal

type Names<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never
type Table = typeof OPERATIONS
type Sent<O, Part extends 'query' | 'body'> = O extends Record<Part, infer S extends z.ZodMiniType> ? z.input<S> : never

/** What a call takes: the parameters of its path, its query and its body, as far as it has them. */
export type Given<Id extends OperationId> = (Names<Table[Id]['path']> extends never
  ? { readonly params?: undefined }
  : { readonly params: { readonly [Name in Names<Table[Id]['path']>]: string } }) &
  (Table[Id] extends { query: z.ZodMiniType }
    ? { readonly query?: Sent<Table[Id], 'query'> }
    : { readonly query?: undefined }) &
  (Table[Id] extends { body: z.ZodMiniType }
    ? { readonly body: Sent<Table[Id], 'body'> }
    : { readonly body?: undefined })

export type AnswerOf<Id extends OperationId> = Table[Id] extends { answer: infer S extends z.ZodMiniType }
  ? z.output<S>
  : undefined

/** The same for whoever puts the call together, whichever it is. */
interface Parts {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | undefined>>
  readonly body?: unknown
}

export class ApiClient {
  readonly #options: ApiClientOptions

  constructor(options: ApiClientOptions) {
    this.#options = options
  }

  /**
   * @throws TunnelFault what the server said, `server-busy` if a front answers for it, `server-unreachable` if nobody of ours does; `signal.reason` when aborted
   */
  async call<Id extends OperationId>(id: Id, given: Given<Id>, signal: AbortSignal = UNENDED): Promise<AnswerOf<Id>> {
    const operation: Operation = OPERATIONS[id]
    const { params, query, body } = given as Parts
    const address = addressOf(operation.path, params, query)
    const { status, headers, text } = await this.#exchange(operation.method, address, body, signal)
    const said = parseJson(text)
    if (status < 200 || status >= 300) throw this.#refusal(said, status, headers)
    if (!operation.answer) return undefined as AnswerOf<Id>
    const read = operation.answer.safeParse(said)
    if (read.success) return read.data as AnswerOf<Id>
    throw this.#unreachable('the answer is not one of a tunnel service', { cause: read.error })
  }

  async #exchange(method: string, address: string, body: unknown, signal: AbortSignal): Promise<Exchanged> {
    const { server, token, program } = this.#options
    const deadline = AbortSignal.timeout(CONTROL_CALL_TIMEOUT_MS)
    try {
      return await exchange(new URL(address, server), {
        method,
        headers: {
          accept: 'application/json',
          authorization: `Bearer ${token.reveal()}`,
          'user-agent': program,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.any([signal, deadline]),
      })
    } catch (cause) {
      if (signal.aborted) throw signal.reason
      const why = deadline.aborted ? `no answer within ${CONTROL_CALL_TIMEOUT_MS} ms` : messageOf(cause)
      throw this.#unreachable(why, { cause })
    }
  }

  /** The problem document, or that there is none. Whoever answers, its Retry-After is kept. */
  #refusal(said: unknown, status: number, headers: Exchanged['headers']): TunnelFault {
    const fault = faultOf(said)
    const asked = retryAfterMs(headers['retry-after'])
    const later = asked === undefined ? {} : { retryAfterMs: asked }
    const isFailure = status === FAILED_STATUS && GATEWAY_ANSWER.safeParse(said).success
    if (!fault && (isFailure || BUSY_STATUSES.has(status)))
      return new TunnelFault('server-busy', `${this.#options.server} answered ${status}.`, later)
    if (!fault) return this.#unreachable(`answered ${status} without saying why; is this the tunnel service?`, later)
    return fault.retryAfterMs === undefined ? new TunnelFault(fault.code, fault.detail, later) : fault
  }

  #unreachable(why: string, options: { cause?: unknown; retryAfterMs?: number }): TunnelFault {
    return new TunnelFault('server-unreachable', `${this.#options.server}: ${why}.`, options)
  }
}

/** Path and query. A parameter that would be no segment of its own, or another one, would address another call. */
function addressOf(template: string, params: Parts['params'] = {}, query: Parts['query'] = {}): string {
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name] ?? ''
    if (/^\.{0,2}$/.test(value))
      throw new TunnelFault('request-malformed', `${name}: ${JSON.stringify(value)} cannot be one.`)
    return encodeURIComponent(value)
  })
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, value)
  return search.size === 0 ? path : `${path}?${search}`
}

/** Seconds, the only form the service sends (RFC 9110 §10.2.3 has a date too). */
const retryAfterMs = (field: string | undefined): number | undefined =>
  field !== undefined && /^\d{1,6}$/.test(field) ? Number(field) * 1000 : undefined

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Whatever stands there, it is no answer of the API: the schema says so.
    return undefined
  }
}

/** Of a name with several addresses, Node reports one error for each and an empty message for all: the first one speaks. */
function messageOf(error: unknown): string {
  const first = error instanceof AggregateError ? error.errors[0] : error
  return first instanceof Error ? first.message : String(first)
}
