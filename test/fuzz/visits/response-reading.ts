/** Reads the responses of one connection over HTTP/1, slowly and obviously, as a visitor would that trusts nobody. */
import type { PlannedRequest } from './plan.ts'
import type { SeenResponse } from './visitor.ts'
import { readHead, unchunked } from './wire.ts'

/** How the direction to the visitor stands, behind all that came. */
export type Over = 'open' | 'ended' | 'reset'

export class ResponseReading {
  readonly responses: SeenResponse[] = []
  /** Of the request after those of `responses`, while it is not whole. */
  partial: SeenResponse | undefined
  /** Of an answer that is under way. */
  interims: number[] = []
  #text = ''
  readonly #requests: readonly PlannedRequest[]

  constructor(requests: readonly PlannedRequest[]) {
    this.#requests = requests
  }

  /** What follows the last response that is whole. */
  get rest(): string {
    return this.#text
  }

  /** @throws Error if it is no response */
  read(text: string, over: Over): void {
    this.#text += text
    for (;;) {
      const headEnd = this.#text.indexOf('\r\n\r\n')
      if (headEnd === -1) return
      const head = readHead(this.#text.slice(0, headEnd))
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head.start)?.[1] ?? Number.NaN)
      if (Number.isNaN(status)) throw new Error(`no status line: ${JSON.stringify(head.start.slice(0, 60))}`)
      if (status < 200 && status !== 101) {
        this.interims.push(status)
        this.#text = this.#text.slice(headEnd + 4)
        continue
      }
      const request = this.#requests[this.responses.length]
      // Who has not got a whole head does not know that it was to be HEAD.
      const read = head.fields.get('tunnel-error') !== 'head-timeout'
      const { body, end, byClose } = bodyOfResponse(
        this.#text,
        headEnd + 4,
        status,
        read ? (request?.method ?? 'GET') : 'GET',
        head.fields,
      )
      const whole = end !== undefined || (byClose && over === 'ended')
      const version = request?.version ?? 11
      const connection = head.fields.get('connection') ?? ''
      const seen: SeenResponse = {
        ...{ status, head, body, interims: this.interims },
        ending: whole ? 'whole' : over === 'open' ? 'open' : 'cut',
        last: version === 11 ? /\bclose\b/.test(connection) : connection !== 'keep-alive',
      }
      this.partial = whole ? undefined : seen
      if (!whole) return
      this.responses.push(seen)
      this.interims = []
      this.#text = this.#text.slice(end ?? this.#text.length)
    }
  }
}

interface BodyRead {
  readonly body: string
  readonly end: number | undefined
  readonly byClose: boolean
}

function bodyOfResponse(
  text: string,
  at: number,
  status: number,
  method: string,
  fields: ReadonlyMap<string, string>,
): BodyRead {
  const length = fields.get('content-length')
  const coding = fields.get('transfer-encoding')
  if (length !== undefined && coding !== undefined) throw new Error('both framings')
  if (status === 101) return { body: text.slice(at), end: undefined, byClose: true }
  if (method === 'HEAD' || status === 204 || status === 304) return { body: '', end: at, byClose: false }
  if (coding !== undefined) {
    if (coding !== 'chunked') throw new Error(`coding ${coding}`)
    return { ...unchunked(text, at), byClose: false }
  }
  if (length === undefined) return { body: text.slice(at), end: undefined, byClose: true }
  const to = at + Number(length)
  return { body: text.slice(at, to), end: text.length >= to ? to : undefined, byClose: false }
}
