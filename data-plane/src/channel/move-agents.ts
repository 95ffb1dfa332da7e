/** Asks the agents of all channels to open their next one elsewhere, spread over time. Knows nothing of how they do it. */
import { DRAIN_ASK_EVERY_MS, DRAIN_SPREAD_MS } from '@postern/protocol/limits'
import type { Tunnel } from './tunnel.ts'

type Asked = Pick<Tunnel, 'serving' | 'askedToMove' | 'askToMove'>

export interface MoveAgentsOptions {
  tunnels(): ReadonlySet<Asked>
  /** When what they leave behind is ended; monotonic milliseconds. */
  readonly deadline: number
  /** Monotonic milliseconds. */
  now(): number
  /** Uniform in [0, 1). */
  random(): number
}

/**
 * Each at a random moment of a time that grows with their number, so that control plane and other tasks see no wave; at most half of what
 * there is until the deadline. Whoever is welcomed meanwhile is asked at once. Returns the end of it.
 */
export function moveAgents({ tunnels, deadline, now, random }: MoveAgentsOptions): () => void {
  const began = now()
  const spread = Math.min(DRAIN_SPREAD_MS, (deadline - began) / 2, tunnels().size * DRAIN_ASK_EVERY_MS)
  const due = new Map<Asked, number>()
  for (const tunnel of tunnels()) due.set(tunnel, began + random() * spread)
  const ask = (): void => {
    const time = now()
    for (const tunnel of tunnels()) {
      // One whose control stream is full just now is asked again the next time.
      if (tunnel.serving && !tunnel.askedToMove && (due.get(tunnel) ?? 0) <= time) tunnel.askToMove(deadline - time)
    }
  }
  ask()
  const timer = setInterval(ask, DRAIN_ASK_EVERY_MS)
  return () => clearInterval(timer)
}
