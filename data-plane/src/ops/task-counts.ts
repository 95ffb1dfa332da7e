/** What a task counts while it works: numbers that only grow, and what has been added to them since somebody took them. Knows nothing of who reads them. */
import type { FaultCode } from '@postern/protocol/fault'
import { METRIC_VALUES } from '@postern/protocol/limits'
import type { RequestRecord } from '../proxy/request-record.ts'
import { Distribution } from './distribution.ts'
import { Histogram } from './histogram.ts'

/** Bytes through a channel. */
export interface Traffic {
  readonly in: number
  readonly out: number
}

/** Of the time since they were taken before. */
export interface Counted {
  readonly requests: number
  /** Of the requests: those that waited for an agent that was away. */
  readonly held: number
  /** How often a request that is over was sent again, because its stream or channel went before a byte of the response had come. */
  readonly retried: number
  /** Requests that were sent on by way of the task that holds their tunnel. */
  readonly hops: number
  /** Of these, and of the attempts to reach such a task: those that came to nothing there. */
  readonly hopFailures: number
  /** Names that were looked up in the table. */
  readonly lookups: number
  readonly faults: ReadonlyMap<FaultCode, number>
  readonly openings: number
  /** Milliseconds, at most METRIC_VALUES of them. */
  readonly openingTimes: readonly number[]
  readonly openingsRefused: ReadonlyMap<FaultCode, number>
  readonly bytesIn: number
  readonly bytesOut: number
  /** Channels whose agent opened another one in their place. */
  readonly agentsMoved: number
  /** From being told to stop to the end of the last channel, in milliseconds; once in the life of a task. */
  readonly drainMs: number | undefined
  /** Of the access log. */
  readonly linesDropped: number
}

/** Since the process began. */
export interface Totals {
  /** Heads of requests that were read. */
  readonly requests: number
  readonly held: number
  readonly retried: number
  readonly hops: number
  readonly hopFailures: number
  readonly lookups: number
  readonly agentsMoved: number
  readonly faults: ReadonlyMap<FaultCode, number>
  readonly openings: number
  readonly openingsRefused: ReadonlyMap<FaultCode, number>
  /** Through the channels, from the agents and to them. */
  readonly bytesIn: number
  readonly bytesOut: number
  readonly linesDropped: number
}

/** Milliseconds. From a cached answer beside the agent to the longest that a local server may take. */
const REQUEST_BOUNDS_MS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000]
/** A handshake and two calls to the table, up to where an opening is given up. */
const OPENING_BOUNDS_MS = [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000]

const NOTHING: Totals = {
  requests: 0,
  held: 0,
  retried: 0,
  hops: 0,
  hopFailures: 0,
  lookups: 0,
  agentsMoved: 0,
  faults: new Map(),
  openings: 0,
  openingsRefused: new Map(),
  bytesIn: 0,
  bytesOut: 0,
  linesDropped: 0,
}

export interface TaskCountsDeps {
  /** All channels that are not over. */
  standing(): Iterable<{ readonly traffic: Traffic }>
  /** Lines of the access log that were dropped so far. */
  linesDropped(): number
}

/** On the path of every request: what adds allocates nothing, but for the first fault of a kind. */
export class TaskCounts {
  /** Requests that are over, by the first digit of their status; at 0 those that got none. */
  readonly overByClass = new Float64Array(6)
  /** From the head's end to the end of the response. Milliseconds, as below. */
  readonly requestTimes = new Histogram(REQUEST_BOUNDS_MS)
  /** Until the first byte of the local server's answer, less the way there and back where it is known. */
  readonly originTimes = new Histogram(REQUEST_BOUNDS_MS)
  readonly openingTimes = new Histogram(OPENING_BOUNDS_MS)
  /** From visitors and to them, of requests that are over. */
  visitorBytesIn = 0
  visitorBytesOut = 0
  #requests = 0
  #held = 0
  #retried = 0
  #hops = 0
  #hopFailures = 0
  #lookups = 0
  #agentsMoved = 0
  #drainMs: number | undefined
  readonly #faults = new Map<FaultCode, number>()
  readonly #openingsRefused = new Map<FaultCode, number>()
  /** Of those since the last taking. */
  readonly #recentOpenings = new Distribution()
  /** Of channels that are over. */
  #bytesIn = 0
  #bytesOut = 0
  readonly #deps: TaskCountsDeps
  #taken = NOTHING

  constructor(deps: TaskCountsDeps) {
    this.#deps = deps
  }

  request(): void {
    this.#requests += 1
  }

  requestOver({ status, fault, bytesIn, bytesOut, totalMs, answerMs, originMs, retries }: RequestRecord): void {
    this.overByClass[(status / 100) | 0]! += 1
    this.visitorBytesIn += bytesIn
    this.visitorBytesOut += bytesOut
    this.#retried += retries
    this.requestTimes.add(totalMs)
    if (answerMs >= 0) this.originTimes.add(originMs)
    if (fault !== undefined) this.fault(fault)
  }

  held(): void {
    this.#held += 1
  }

  hop(): void {
    this.#hops += 1
  }

  hopFailed(): void {
    this.#hopFailures += 1
  }

  lookup(): void {
    this.#lookups += 1
  }

  fault(code: FaultCode): void {
    this.#faults.set(code, (this.#faults.get(code) ?? 0) + 1)
  }

  opening(ms: number): void {
    this.openingTimes.add(ms)
    this.#recentOpenings.add(ms)
  }

  openingRefused(code: FaultCode): void {
    this.#openingsRefused.set(code, (this.#openingsRefused.get(code) ?? 0) + 1)
  }

  agentMoved(): void {
    this.#agentsMoved += 1
  }

  drained(ms: number): void {
    this.#drainMs = ms
  }

  channelOver(traffic: Traffic): void {
    this.#bytesIn += traffic.in
    this.#bytesOut += traffic.out
  }

  totals(): Totals {
    let bytesIn = this.#bytesIn
    let bytesOut = this.#bytesOut
    for (const { traffic } of this.#deps.standing()) {
      bytesIn += traffic.in
      bytesOut += traffic.out
    }
    return {
      requests: this.#requests,
      held: this.#held,
      retried: this.#retried,
      hops: this.#hops,
      hopFailures: this.#hopFailures,
      lookups: this.#lookups,
      agentsMoved: this.#agentsMoved,
      faults: new Map(this.#faults),
      openings: this.openingTimes.count,
      openingsRefused: new Map(this.#openingsRefused),
      bytesIn,
      bytesOut,
      linesDropped: this.#deps.linesDropped(),
    }
  }

  /** What was added since this was called before. */
  take(): Counted {
    const [before, now] = [this.#taken, this.totals()]
    const openingTimes = this.#recentOpenings.values(METRIC_VALUES)
    this.#recentOpenings.clear()
    this.#taken = now
    const drainMs = this.#drainMs
    this.#drainMs = undefined
    return {
      requests: now.requests - before.requests,
      held: now.held - before.held,
      retried: now.retried - before.retried,
      hops: now.hops - before.hops,
      hopFailures: now.hopFailures - before.hopFailures,
      lookups: now.lookups - before.lookups,
      agentsMoved: now.agentsMoved - before.agentsMoved,
      drainMs,
      faults: added(now.faults, before.faults),
      openings: now.openings - before.openings,
      openingTimes,
      openingsRefused: added(now.openingsRefused, before.openingsRefused),
      bytesIn: now.bytesIn - before.bytesIn,
      bytesOut: now.bytesOut - before.bytesOut,
      linesDropped: now.linesDropped - before.linesDropped,
    }
  }
}

/** Of those to which something was added. */
function added(now: Totals['faults'], before: Totals['faults']): Map<FaultCode, number> {
  const difference = new Map<FaultCode, number>()
  for (const [code, count] of now) {
    const more = count - (before.get(code) ?? 0)
    if (more > 0) difference.set(code, more)
  }
  return difference
}
