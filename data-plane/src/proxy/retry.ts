/** Decides whether a request whose stream failed is sent again, and where. */

/** What has become of the request so far. */
export interface Attempt {
  /** The method may be done twice (RFC 9110 §9.2.2). */
  readonly idempotent: boolean
  /** All that was sent is still kept. */
  readonly repeatable: boolean
  /** The request has no body: its head is all that would be sent again. */
  readonly bodyless: boolean
  /** A byte of the response has come. */
  readonly answered: boolean
  /** The stream had carried a request before, or its node had not accepted it: its end may say nothing of this request. */
  readonly mayBeStale: boolean
  /** The visitor has ended its writing. */
  readonly visitorEnded: boolean
  /** The request may be sent by another channel. */
  readonly mayMove: boolean
}

export interface StreamFailure {
  /** The channel is gone, or its node does not have the tunnel any more. */
  readonly channelGone: boolean
  /** No byte of the request reached the local server. */
  readonly unsent: boolean
  /** The far end has said what is to become of the request. */
  readonly explained: boolean
}

export type Retry =
  /** On a fresh stream of the same route. */
  | 'same-route'
  /** By whichever channel has the name now. */
  | 'elsewhere'
  /** Not at all: the visitor gets the fault. */
  | 'none'

/**
 * What the local server certainly did not act on, or may safely be done twice, is sent again: elsewhere if the channel is gone, on a fresh stream of the
 * same route if a kept stream may have been closed as it was used. Everything else is not.
 */
export function decide(attempt: Attempt, failure: StreamFailure): Retry {
  if (attempt.answered) return 'none'
  const again = attempt.repeatable && (attempt.idempotent || failure.unsent)
  if (failure.channelGone && attempt.mayMove) {
    const movable = again || (attempt.idempotent && attempt.bodyless)
    if (movable && (failure.unsent || !attempt.visitorEnded)) return 'elsewhere'
  }
  return again && attempt.mayBeStale && !failure.explained ? 'same-route' : 'none'
}
