/** What a task counts while it works: numbers that grow until they are taken. Knows nothing of who reads them. */
import type { FaultCode } from '@postern/protocol/fault'
import { METRIC_VALUES } from '@postern/protocol/limits'
import { Distribution } from './distribution.ts'

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
}

/** On the path of every request: what adds allocates nothing, but for the first fault of a kind. */
export class TaskCounts {
  #requests = 0
  #held = 0
  #hops = 0
  #hopFailures = 0
  #lookups = 0
  #faults = new Map<FaultCode, number>()
  #openingsRefused = new Map<FaultCode, number>()
  readonly #openingTimes = new Distribution()
  /** Of channels that are over, less what was taken: since it was taken of channels that stand, it may be below zero. */
  #bytesIn = 0
  #bytesOut = 0
  #agentsMoved = 0
  #drainMs: number | undefined

  request(): void {
    this.#requests += 1
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
    this.#openingTimes.add(ms)
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

  /** Counting begins anew. @param standing all channels that are not over */
  take(standing: Iterable<{ readonly traffic: Traffic }>): Counted {
    let bytesIn = this.#bytesIn
    let bytesOut = this.#bytesOut
    for (const { traffic } of standing) {
      bytesIn += traffic.in
      bytesOut += traffic.out
    }
    const counted: Counted = {
      requests: this.#requests,
      held: this.#held,
      hops: this.#hops,
      hopFailures: this.#hopFailures,
      lookups: this.#lookups,
      faults: this.#faults,
      openings: this.#openingTimes.count,
      openingTimes: this.#openingTimes.values(METRIC_VALUES),
      openingsRefused: this.#openingsRefused,
      bytesIn,
      bytesOut,
      agentsMoved: this.#agentsMoved,
      drainMs: this.#drainMs,
    }
    this.#agentsMoved = 0
    this.#drainMs = undefined
    this.#requests = 0
    this.#held = 0
    this.#hops = 0
    this.#hopFailures = 0
    this.#lookups = 0
    this.#faults = new Map()
    this.#openingsRefused = new Map()
    this.#openingTimes.clear()
    this.#bytesIn -= bytesIn
    this.#bytesOut -= bytesOut
    return counted
  }
}
