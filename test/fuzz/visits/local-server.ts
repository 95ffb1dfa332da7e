/** The local server at the far end of one stream: reads requests slowly and obviously, and answers as was drawn. */
import type { StreamListener } from '@postern/protocol/mux'
import type { SeededRandom } from '../../support/seeded-random.ts'
import { type Answer, mayReset } from './answer.ts'
import type { Plan, PlannedRequest } from './plan.ts'
import type { VirtualStream } from './virtual-stream.ts'
import { type HeadRead, readHead, unchunked } from './wire.ts'

/** One arrival of a request at a local server. */
export interface Attempt {
  readonly request: PlannedRequest
  readonly index: number
  readonly head: HeadRead
  readonly server: LocalServer
  readonly answer: Answer
  body: string
  /** It has the request to its end. */
  whole: boolean
  /** Bytes of `answer.wire` that it has given to its stream. */
  sent: number
  /** What came after an upgrade. */
  spliced: string
}

export interface ServerHost {
  /** A head has come. Undefined: no such request was made. */
  arrived(server: LocalServer, id: number, head: HeadRead): Attempt | undefined
  violated(what: string): void
}

const CONTINUE_TEXT = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINTS_TEXT = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'

export class LocalServer implements StreamListener {
  readonly stream: VirtualStream
  /** The id of the visitor's connection that this one is bound to by a sign-in. */
  boundTo: number | undefined
  /** All that arrived here, in order. */
  readonly attempts: Attempt[] = []
  ended = false
  /** In good order. */
  endedByFin = false
  readonly #host: ServerHost
  readonly #closesIdle: boolean
  readonly #mayReset: boolean
  readonly #random: SeededRandom
  #text = ''
  #unconsumed = 0
  #attempt: Attempt | undefined
  #bodyAt = 0
  #interims = 0
  #excessSent = false
  #visitorEnded = false
  /** Reads nothing for so many turns. */
  #sleeps = 0
  #served = false

  constructor(stream: VirtualStream, random: SeededRandom, plan: Plan, host: ServerHost) {
    this.stream = stream
    this.#host = host
    this.#random = random
    this.#closesIdle = plan.closesIdle
    this.#mayReset = mayReset(plan)
    this.#sleeps = random.once(3) ? random.below(8) : 0
    stream.listen(this)
  }

  data(chunk: Buffer): void {
    this.#text += chunk.toString('latin1')
    this.#unconsumed += chunk.length
  }

  end(): void {
    this.#visitorEnded = true
  }

  reset(): void {
    this.ended = true
  }

  writable(): void {}

  /** Nothing is under way. */
  get idle(): boolean {
    return this.#attempt === undefined && this.#text === ''
  }

  /** One turn of its own. True: it has done something. */
  step(): boolean {
    if (this.ended || this.stream.gone) return false
    if (this.#sleeps > 0) {
      this.#sleeps -= 1
      return true
    }
    return this.#read() || this.#write() || this.#finish()
  }

  /** Ends, whatever is under way. */
  hangUp(): void {
    this.ended = true
    this.stream.reset()
  }

  // ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #read(): boolean {
    if (this.#unconsumed === 0) return false
    this.stream.consume(this.#unconsumed)
    this.#unconsumed = 0
    const resting = this.#attempt === undefined
    // It may have done what it was asked for, and gone without a word.
    if (resting && this.#served && this.#random.once(2)) this.#parse()
    // The request and the end of a kept connection have crossed.
    if (resting && this.#closesAtRest(3)) this.#text = ''
    else this.#parse()
    return true
  }

  #parse(): void {
    if (this.#attempt === undefined) this.#parseHead()
    const attempt = this.#attempt
    if (attempt === undefined) return
    if (attempt.answer.status === 101 && attempt.whole) {
      attempt.spliced += this.#text
      this.#text = ''
    } else if (!attempt.whole) this.#parseBody(attempt)
  }

  #parseHead(): void {
    const end = this.#text.indexOf('\r\n\r\n')
    if (end === -1) return
    const head = readHead(this.#text.slice(0, end))
    const id = Number(/^[A-Z]+ \/(\d+) HTTP\/1\.[01]$/.exec(head.start)?.[1] ?? Number.NaN)
    const attempt = this.#host.arrived(this, id, head)
    if (attempt === undefined)
      return this.#host.violated(`a local server got ${JSON.stringify(this.#text.slice(0, 80))}`)
    if (this.#served && attempt.request.method !== 'never' && this.attempts.at(-1)?.answer.keepAlive === false)
      this.#host.violated(`/${id} came behind a response that was the last of its connection`)
    this.attempts.push(attempt)
    this.#attempt = attempt
    this.#bodyAt = end + 4
    this.#interims = 0
    this.#excessSent = false
    this.#parseBody(attempt)
  }

  #parseBody(attempt: Attempt): void {
    const length = attempt.head.fields.get('content-length')
    const coded = attempt.head.fields.get('transfer-encoding') === 'chunked'
    if (coded) {
      const { body, end } = unchunked(this.#text, this.#bodyAt)
      attempt.body = body
      if (end !== undefined) this.#wholeAt(attempt, end)
    } else {
      const to = this.#bodyAt + Number(length ?? 0)
      attempt.body = this.#text.slice(this.#bodyAt, to)
      if (this.#text.length >= to) this.#wholeAt(attempt, to)
    }
  }

  #wholeAt(attempt: Attempt, end: number): void {
    attempt.whole = true
    this.#text = this.#text.slice(end)
    if (this.#text !== '' && attempt.answer.status !== 101 && attempt.sent < attempt.answer.stopsAt)
      this.#host.violated(`bytes came behind /${attempt.request.id} before it was answered`)
    if (attempt.answer.status === 101) {
      attempt.spliced += this.#text
      this.#text = ''
    }
  }

  // ── answering ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #write(): boolean {
    const attempt = this.#attempt
    if (attempt === undefined || this.stream.backlog > 0) return false
    const { answer } = attempt
    if (this.#interims < answer.interims.length && answer.begins !== 'never') {
      this.stream.write(Buffer.from(answer.interims[this.#interims++] === 100 ? CONTINUE_TEXT : HINTS_TEXT))
      return true
    }
    if (answer.begins === 'never' || (answer.begins === 'whole' && !attempt.whole)) return false
    if (attempt.sent < answer.stopsAt) {
      const left = answer.stopsAt - attempt.sent
      const bytes = this.#random.once(3) ? 1 + this.#random.below(left) : left
      this.stream.write(Buffer.from(answer.wire.slice(attempt.sent, attempt.sent + bytes), 'latin1'))
      attempt.sent += bytes
      return true
    }
    if (answer.excess !== '' && !this.#excessSent) {
      this.#excessSent = true
      this.stream.other.excessFrom = this.stream.written
      this.stream.write(Buffer.from(answer.excess))
      return true
    }
    return false
  }

  /** The response is out, as far as it goes. */
  #finish(): boolean {
    const attempt = this.#attempt
    if (attempt === undefined) return this.#rest()
    const { answer } = attempt
    if (this.stream.backlog > 0) return false
    // It waits for the rest of the request before it lets go of the connection, unless that ends.
    if (answer.begins === 'never' ? !attempt.whole : attempt.sent < answer.stopsAt) return this.#endIfVisitorHas()
    if (answer.afterwards === 'resets') this.hangUp()
    else if (answer.afterwards === 'ends') this.#end()
    else if (answer.begins === 'never' || answer.stopsAt < answer.wire.length) return this.#endIfVisitorHas()
    else if (attempt.whole) this.#restAgain()
    else return this.#endIfVisitorHas()
    return true
  }

  #restAgain(): void {
    this.#attempt = undefined
    this.#served = true
    if (this.#text !== '') this.#parse()
  }

  /** Between two requests. */
  #rest(): boolean {
    return this.#closesAtRest(10) || this.#endIfVisitorHas()
  }

  /** Once in so many times. */
  #closesAtRest(often: number): boolean {
    if (!this.#served || !this.#closesIdle || !this.#random.once(often)) return false
    if (this.#random.once(2) && this.#mayReset) this.hangUp()
    else this.#end()
    return true
  }

  #endIfVisitorHas(): boolean {
    if (!this.#visitorEnded || this.stream.backlog > 0) return false
    const attempt = this.#attempt
    // Half a request: nothing will come of it.
    if (
      attempt !== undefined &&
      attempt.answer.begins === 'whole' &&
      attempt.whole &&
      attempt.sent < attempt.answer.stopsAt
    )
      return false
    this.#end()
    return true
  }

  #end(): void {
    this.ended = true
    this.endedByFin = true
    this.stream.end()
    const upgraded = this.#attempt?.answer.status === 101 ? this.#attempt : undefined
    // What still comes is read, and is nothing to it but after an upgrade.
    this.stream.listen({
      data: (chunk) => {
        this.stream.consume(chunk.length)
        if (upgraded !== undefined) upgraded.spliced += chunk.toString('latin1')
      },
      end: () => {},
      reset: () => {},
      writable: () => {},
    })
  }
}
