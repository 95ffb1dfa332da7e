/** What is noted of one request from the moment its head is whole until it is over. Knows nothing of connections, nor of who reads it. */
import type { FaultCode } from '@postern/protocol/fault'
import { serverTiming } from './server-timing.ts'

/**
 * `whole`: the response went out to its end. `refused`: it was an answer of ours. `cut`: a part went out, and the visitor was cut off.
 * `abandoned`: the visitor left first, or ended its writing inside its request.
 */
export type RequestEnd = 'whole' | 'refused' | 'cut' | 'abandoned'

export type Protocol = 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0'

/** What of a head is noted, as it stands when the request is over. */
export interface RecordedHead {
  readonly method: string
  /** Lower-case authority, port included; may be empty. */
  readonly host: string
  /** The target in origin-form, query included. */
  readonly path: string
  /** Where the same stands in bytes, if it does, so that nobody need make a string of it: [pathFrom, pathTo) of this buffer. */
  readonly pathBuffer?: Uint8Array | undefined
  readonly pathFrom?: number
  readonly pathTo?: number
}

/** The parts of a record that seldom differ from one request of a connection to the next, and how a keeper has written them. */
export interface Heading {
  readonly visitor: string
  readonly method: string
  readonly host: string
  readonly protocol: Protocol
  readonly bytes: Uint8Array
}

/** Who keeps records. On the path of every request: it adds, and nothing else. */
export interface RecordKeeper {
  /** A head was read. */
  begun(): void
  /** A request is over, or was none: then its record has no head. The record is read at once and not kept, because the next request uses it again. */
  over(record: RequestRecord): void
}

/** Not measured, or not come to. */
const NONE = -1

/** One for each visitor's connection, used again by each request on it; one for each stream where requests share a connection. */
export class RequestRecord {
  /** Its IP address. */
  visitor: string
  id = ''
  /** Undefined: it could not be read. */
  head: RecordedHead | undefined = undefined
  protocol: Protocol = 'HTTP/1.1'
  /** Of the final response; 0 while there is none. */
  status = 0
  end: RequestEnd = 'whole'
  fault: FaultCode | undefined = undefined
  /** Head, body and its framing, as the visitor sent them and we read them (of HTTP/2: as HTTP/1.1 has them); behind an upgrade everything. */
  bytesIn = 0
  /** The same of what was given to the visitor's socket, interim responses included. */
  bytesOut = 0
  /** From the head's end until the request, or the last of its attempts, had its route: while its agent was away, or its password was checked. Milliseconds, as all below. */
  holdMs = 0
  /** Of the hop to the task that holds the channel; negative where there was none. */
  hopMs = NONE
  /** From then until the first byte of the final response; negative without one. */
  answerMs = NONE
  totalMs = 0
  /** How often it was sent again, on another stream or to another task, before a byte of a response had come. */
  retries = 0
  /** Monotonic. */
  overAt = 0
  /** Of an earlier request; the keeper's, who looks whether it still fits. */
  heading: Heading | undefined = undefined
  readonly #now: () => number
  #beganAt = 0
  #admittedAt = NONE
  #answeredAt = NONE
  #roundTripMs = NONE

  /** `now` is monotonic, in milliseconds. */
  constructor(visitor: string, now: () => number) {
    this.visitor = visitor
    this.#now = now
  }

  /** Answers when that was; monotonic, in milliseconds. */
  begin(id: string, head: RecordedHead | undefined, bytesIn: number, protocol: Protocol): number {
    this.id = id
    this.head = head
    this.protocol = protocol
    this.status = 0
    this.fault = undefined
    this.bytesIn = bytesIn
    this.bytesOut = 0
    this.holdMs = 0
    this.hopMs = NONE
    this.answerMs = NONE
    this.retries = 0
    this.#admittedAt = NONE
    this.#answeredAt = NONE
    this.#beganAt = this.#now()
    return this.#beganAt
  }

  /** It has a route, at that time. @param roundTripMs to the agent and back, as measured last; undefined if nobody has */
  admitted(at: number, roundTripMs: number | undefined): void {
    this.holdMs = at - this.#beganAt
    if (this.#admittedAt >= 0) this.retries += 1
    this.#admittedAt = at
    this.#roundTripMs = roundTripMs ?? NONE
  }

  /** It waits no longer, and got no route. */
  turnedAway(): void {
    if (this.#admittedAt < 0) this.holdMs = this.#now() - this.#beganAt
  }

  /** The head of the final response came. */
  answered(status: number): void {
    this.status = status
    this.#answeredAt = this.#now()
    this.answerMs = this.#answeredAt - this.#admittedAt
  }

  /** It is over. @param at monotonic; now, unless it is known */
  over(end: RequestEnd, at = this.#now()): void {
    this.end = end
    this.overAt = at
    this.totalMs = at - this.#beganAt
  }

  /** When `answered` was. A response that came in one piece is over by then, and the clock need not be asked again. */
  get answeredAt(): number {
    return this.#answeredAt
  }

  /** What of `answerMs` is the way to the agent and back, if anybody has measured it; negative otherwise. */
  get channelMs(): number {
    return this.answerMs < 0 ? NONE : Math.min(this.#roundTripMs, this.answerMs)
  }

  /** What of `answerMs` is the local server's, and the way where that is not known; negative without an answer. */
  get originMs(): number {
    const channel = this.channelMs
    return channel > 0 ? this.answerMs - channel : this.answerMs
  }

  /** The value of a Server-Timing field: each part of the way as far as it came. Without an answer yet, the local server's part is its silence so far. */
  get serverTiming(): string {
    if (this.answerMs >= 0) return serverTiming(this.holdMs, this.hopMs, this.channelMs, this.originMs)
    const silentMs = this.#admittedAt < 0 ? NONE : this.#now() - this.#admittedAt
    return serverTiming(this.holdMs, this.hopMs, NONE, silentMs)
  }
}
