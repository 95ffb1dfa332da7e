/** A visitor of a case, whichever version of HTTP it speaks: what it has sent, and what it has seen. */
import type { PlannedRequest, PlannedVisitor } from './plan.ts'
import type { HeadRead } from './wire.ts'

/** One response as its visitor sees it. */
export interface SeenResponse {
  readonly status: number
  readonly head: HeadRead
  readonly interims: readonly number[]
  /** So far; after 101 all that came. */
  readonly body: string
  /** `cut`: the rest will not come, and the visitor can tell. */
  readonly ending: 'whole' | 'cut' | 'open'
  /** It says that it is the last of its connection. */
  readonly last: boolean
}

/** What became of one request, as far as its visitor can tell. */
export interface Visit {
  readonly request: PlannedRequest
  /** Bytes of its body that the visitor has sent, before their coding; and whether all of it is out. */
  readonly begun: boolean
  readonly sentWhole: boolean
  /** What it sends behind its request that is none. */
  readonly behind: string
  readonly response: SeenResponse | undefined
}

export interface Visitor {
  readonly index: number
  readonly planned: PlannedVisitor
  /** It has all it came for, or its connection is over, or it has left. */
  readonly over: boolean
  /** It left before it had everything, or stopped reading or sending. */
  readonly hasLeft: boolean
  /** Where present, to be awaited before anything else. */
  connect?(): Promise<void>
  /** One turn of its own. True: it has done something. `hurries`: it does not dawdle. */
  step(hurries?: boolean): boolean
  /** Leaves, whatever is under way. */
  leave(): void
  /** A keep-alive comes for its connection. */
  keepAlive?(): void
  /** In the order in which they were planned. */
  visits(): readonly Visit[]
  /** What came that belongs to no request; '' if nothing did. */
  readonly unasked: string
  /** Bytes that wait for it now, where that shows. */
  readonly waiting: number
  /** Most bytes that waited for it in the process under test, where that shows. */
  readonly mostWaiting: number
  describe(): string
}
