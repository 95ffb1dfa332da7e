/** What the agent does next: one total function from state and event to state. Knows nothing of sockets, timers or terminals. */
import type { FaultCode, TunnelFault } from '@postern/protocol/fault'
import { delayAfter, failuresAfterConnection } from './backoff.ts'

interface History {
  /** Attempts that failed in a row. */
  readonly failures: number
  /** Whether a channel was ever open: from then on the network alone ends nothing. */
  readonly proven: boolean
  /** Tickets asked for in a row because the channel server saw another address. */
  readonly observed: number
  /** What it said the last time; names both addresses. */
  readonly mismatch: TunnelFault | undefined
}

export type AgentState =
  /** A ticket is asked for and used. `observation`: what the channel server saw last time, signed. */
  | { readonly kind: 'opening'; readonly history: History; readonly observation: string | undefined }
  | { readonly kind: 'online'; readonly history: History; readonly since: number }
  | { readonly kind: 'waiting'; readonly history: History; readonly why: TunnelFault; readonly delayMs: number }
  /** `why` is undefined if we were told to stop. */
  | { readonly kind: 'ended'; readonly why: TunnelFault | undefined }

/** `at` is in milliseconds of a monotonic clock. */
export type AgentEvent =
  | { readonly kind: 'opened'; readonly at: number }
  /** No channel came of the attempt. `observation`: of the channel server that saw another address, for the next ticket. */
  | { readonly kind: 'failed'; readonly fault: TunnelFault; readonly observation?: string }
  /** The open channel is gone or about to go. */
  | { readonly kind: 'parted'; readonly fault: TunnelFault; readonly at: number }
  | { readonly kind: 'waited' }
  | { readonly kind: 'stopped' }

export interface Temper {
  /** Uniform in [0, 1). */
  random(): number
  /** Whether to go on if the very first attempts lead nowhere (`--retry`). */
  readonly patient: boolean
}

/** Two tickets with an observation each: a third address would be a network that changes under our feet. */
const OBSERVED_TRIES = 2
/** Attempts before the first success, where the server itself asked to come again. */
const FIRST_TRIES = 5
/** A balancer may lead to the same stopping task several times; beyond this nobody else is there. */
const DRAINING_TRIES = 5

/** The server was reached, and what it said asks for another attempt. */
const COME_AGAIN: ReadonlySet<FaultCode> = new Set(['server-draining', 'server-busy', 'ticket-refused'])

const NOT_OBSERVED = { observed: 0, mismatch: undefined } as const

export const FIRST_STATE: AgentState = {
  kind: 'opening',
  history: { failures: 0, proven: false, ...NOT_OBSERVED },
  observation: undefined,
}

/** An event that has no meaning in a state leaves it as it is. */
export function step(state: AgentState, event: AgentEvent, temper: Temper): AgentState {
  if (state.kind === 'ended') return state
  switch (event.kind) {
    case 'stopped':
      return { kind: 'ended', why: undefined }
    case 'opened':
      if (state.kind !== 'opening') return state
      return { kind: 'online', history: { ...state.history, proven: true, ...NOT_OBSERVED }, since: event.at }
    case 'failed':
      return state.kind === 'opening' ? afterFailure(state.history, event, temper) : state
    case 'parted': {
      if (state.kind !== 'online') return state
      const failures = failuresAfterConnection(state.history.failures, event.at - state.since)
      return afterParting({ ...state.history, failures }, event.fault, temper)
    }
    case 'waited':
      return state.kind === 'waiting' ? opening(state.history) : state
  }
}

/** The server's own word, which no retry changes. What the network did (exit 5) is never final by itself. */
const isFinal = (fault: TunnelFault): boolean => !fault.retryable && [2, 3, 4].includes(fault.exit)

const opening = (history: History, observation?: string): AgentState => ({ kind: 'opening', history, observation })

type Failure = Extract<AgentEvent, { kind: 'failed' }>

function afterFailure(history: History, { fault: said, observation }: Failure, temper: Temper): AgentState {
  if (observation !== undefined && history.observed < OBSERVED_TRIES)
    return opening({ ...history, observed: history.observed + 1, mismatch: said }, observation)
  // A control plane that does not take the observation leaves the mismatch as it was: that is what the person must hear of.
  const fault = said.code === 'observation-refused' && history.mismatch ? history.mismatch : said
  if (isFinal(fault)) return { kind: 'ended', why: fault }
  const again = temper.patient || (COME_AGAIN.has(fault.code) && history.failures + 1 < FIRST_TRIES)
  if (!history.proven && !again) return { kind: 'ended', why: fault }
  return waiting({ ...history, ...NOT_OBSERVED }, fault, temper)
}

function afterParting(history: History, fault: TunnelFault, temper: Temper): AgentState {
  if (isFinal(fault)) return { kind: 'ended', why: fault }
  return waiting(history, fault, temper)
}

function waiting(history: History, why: TunnelFault, temper: Temper): AgentState {
  const next = { ...history, failures: history.failures + 1 }
  if (why.code === 'server-draining' && history.failures < DRAINING_TRIES) return opening(next)
  const delayMs = (why.retryAfterMs ?? 0) + delayAfter(history.failures, temper.random)
  return { kind: 'waiting', history: next, why, delayMs }
}
