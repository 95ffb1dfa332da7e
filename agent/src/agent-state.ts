/** What one of the agent's links does next: one total function from state and event to state. Knows nothing of sockets, timers or terminals. */
import type { FaultCode, TunnelFault } from '@postern/protocol/fault'
import { failuresAfterConnection } from './backoff.ts'

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
  /**
   * A ticket is asked for and used. `observation`: what the channel server saw last time, signed. `standing`: the former channel serves on
   * until this one does.
   */
  | {
      readonly kind: 'opening'
      readonly history: History
      readonly observation: string | undefined
      readonly standing: boolean
    }
  | { readonly kind: 'online'; readonly history: History; readonly since: number }
  | {
      readonly kind: 'waiting'
      readonly history: History
      readonly why: TunnelFault
      readonly delayMs: number
      readonly standing: boolean
    }
  /** `why` is undefined if we were told to stop. */
  | { readonly kind: 'ended'; readonly why: TunnelFault | undefined }

/** `at` is in milliseconds of a monotonic clock. */
export type AgentEvent =
  | { readonly kind: 'opened'; readonly at: number }
  /** No channel came of the attempt. `observation`: of the channel server that saw another address, for the next ticket. */
  | { readonly kind: 'failed'; readonly fault: TunnelFault; readonly observation?: string }
  /** The open channel needs a successor, and serves until that stands: its task stops, or it has grown old. */
  | { readonly kind: 'worn'; readonly at: number }
  /** The channel that served is gone or about to go. */
  | { readonly kind: 'parted'; readonly fault: TunnelFault; readonly at: number }
  | { readonly kind: 'waited' }
  | { readonly kind: 'stopped' }

export interface Temper {
  /** How long to wait after so many failures in a row; milliseconds. */
  delayAfter(failures: number): number
  /** Whether to go on if the very first attempts lead nowhere (`--retry`). */
  readonly patient: boolean
}

/** Two tickets with an observation each: a third address would be a network that changes under our feet. */
const OBSERVED_TRIES = 2
/** Attempts before the first success, where the server itself asked to come again. */
const FIRST_TRIES = 5
/** Each attempt has asked several tasks already; beyond this nobody else is there. */
const DRAINING_TRIES = 2

/** The server was reached, and what it said asks for another attempt. */
const COME_AGAIN: ReadonlySet<FaultCode> = new Set(['server-draining', 'server-busy', 'ticket-refused'])

const NOT_OBSERVED = { observed: 0, mismatch: undefined } as const

export const FIRST_STATE: AgentState = {
  kind: 'opening',
  history: { failures: 0, proven: false, ...NOT_OBSERVED },
  observation: undefined,
  standing: false,
}

/** Whether visitors are served. */
export const isServing = (state: AgentState): boolean =>
  state.kind === 'online' || (state.kind !== 'ended' && state.standing)

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
      return state.kind === 'opening' ? afterFailure(state, event, temper) : state
    case 'worn':
      return state.kind === 'online' ? opening(afterConnection(state, event.at), true) : state
    case 'parted':
      if (state.kind === 'online') return afterParting(afterConnection(state, event.at), event.fault, temper)
      if (!state.standing) return state
      // The successor is on its way already.
      return isFinal(event.fault) ? { kind: 'ended', why: event.fault } : { ...state, standing: false }
    case 'waited':
      return state.kind === 'waiting' ? opening(state.history, state.standing) : state
  }
}

/** The server's own word, which no retry changes. What the network did (exit 5) is never final by itself. */
const isFinal = (fault: TunnelFault): boolean => !fault.retryable && [2, 3, 4].includes(fault.exit)

const opening = (history: History, standing: boolean, observation?: string): AgentState => ({
  kind: 'opening',
  history,
  observation,
  standing,
})

type Opening = Extract<AgentState, { kind: 'opening' }>
type Online = Extract<AgentState, { kind: 'online' }>
type Failure = Extract<AgentEvent, { kind: 'failed' }>

const afterConnection = ({ history, since }: Online, at: number): History => ({
  ...history,
  failures: failuresAfterConnection(history.failures, at - since),
})

function afterFailure(
  { history, standing }: Opening,
  { fault: said, observation }: Failure,
  temper: Temper,
): AgentState {
  if (observation !== undefined && history.observed < OBSERVED_TRIES)
    return opening({ ...history, observed: history.observed + 1, mismatch: said }, standing, observation)
  // A control plane that does not take the observation leaves the mismatch as it was: that is what the person must hear of.
  const fault = said.code === 'observation-refused' && history.mismatch ? history.mismatch : said
  if (isFinal(fault)) return { kind: 'ended', why: fault }
  const again = temper.patient || (COME_AGAIN.has(fault.code) && history.failures + 1 < FIRST_TRIES)
  if (!history.proven && !again) return { kind: 'ended', why: fault }
  return waiting({ ...history, ...NOT_OBSERVED }, fault, standing, temper)
}

function afterParting(history: History, fault: TunnelFault, temper: Temper): AgentState {
  if (isFinal(fault)) return { kind: 'ended', why: fault }
  return waiting(history, fault, false, temper)
}

function waiting(history: History, why: TunnelFault, standing: boolean, temper: Temper): AgentState {
  const next = { ...history, failures: history.failures + 1 }
  if (why.code === 'server-draining' && history.failures < DRAINING_TRIES) return opening(next, standing)
  const delayMs = (why.retryAfterMs ?? 0) + temper.delayAfter(history.failures)
  return { kind: 'waiting', history: next, why, delayMs, standing }
}
