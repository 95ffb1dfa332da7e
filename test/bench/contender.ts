/** What a system has to offer to be measured beside others. Knows none of them, and nothing of load. */

/** Where the load goes. */
export interface Target {
  readonly port: number
  /** The Host field; the address is always 127.0.0.1. */
  readonly host: string
}

export interface Origin {
  readonly port: number
}

/** A system that is up and passes requests on to the origin. */
export interface Subject {
  readonly target: Target
  /** The processes whose CPU time counts, by the name of their row in the table. */
  readonly processes: ReadonlyMap<string, readonly number[]>
  stop(): Promise<void>
}

type Finding =
  | { readonly kind: 'found'; readonly version: string }
  /** `remedy` is the command that would change that. */
  | { readonly kind: 'missing'; readonly remedy: string }

/** A system that can be measured: found, started before the rounds, stopped after them. */
export interface Contender {
  readonly name: string
  find(): Promise<Finding>
  /** How it is set up, for whoever judges the comparison. */
  readonly settings: string
  start(origin: Origin): Promise<Subject>
}
