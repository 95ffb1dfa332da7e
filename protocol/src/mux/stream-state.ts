/** The life of a stream as values. Knows nothing of bytes or windows. */

/** Each half ends by itself. `ending`: the writer is done, its queued bytes and the FIN behind them have not all left. */
export type StreamState =
  | { readonly kind: 'live'; readonly inbound: 'open' | 'ended'; readonly outbound: 'open' | 'ending' | 'ended' }
  | { readonly kind: 'gone'; readonly why: 'finished' | 'reset' }

export type StreamEvent = 'end' | 'fin-sent' | 'fin-received' | 'reset'

export const OPENED: StreamState = { kind: 'live', inbound: 'open', outbound: 'open' }
const FINISHED: StreamState = { kind: 'gone', why: 'finished' }
const RESET: StreamState = { kind: 'gone', why: 'reset' }

/** The state after an event. An event that cannot apply (any on a stream that is gone, `end` twice) changes nothing. */
export function step(state: StreamState, event: StreamEvent): StreamState {
  if (state.kind === 'gone') return state
  switch (event) {
    case 'end':
      return state.outbound === 'open' ? { ...state, outbound: 'ending' } : state
    case 'fin-sent':
      return state.inbound === 'ended' ? FINISHED : { ...state, outbound: 'ended' }
    case 'fin-received':
      return state.outbound === 'ended' ? FINISHED : { ...state, inbound: 'ended' }
    case 'reset':
      return RESET
  }
}
