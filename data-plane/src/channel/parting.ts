/** The ways in which a tunnel goes. Knows nothing of what each of them means for visitors. */
import type { FaultCode } from '@postern/protocol/fault'

/**
 * `lost` by itself, and its agent is about to come back; `left` as its agent said, which is stopped or started anew;
 * `moved`, another channel of its agent having taken its place, here or on another task; `dismissed` because the right to it is gone.
 */
export type Parting = 'lost' | 'left' | 'moved' | 'dismissed'

/** How a tunnel goes that we end: by why we do. */
export function partingOf(cutBy: FaultCode | undefined): Parting {
  switch (cutBy) {
    // An agent that hears one of these, or meets it when it asks for its next ticket, does not come back.
    case 'revoked':
    case 'token-expired':
      return 'dismissed'
    // The name is another agent's, which may be on another task.
    case 'superseded':
      return 'moved'
    default:
      return 'lost'
  }
}
