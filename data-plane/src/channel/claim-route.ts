/** Takes a name in the table for a channel, lists the tunnel there, and lets both go again. Knows nothing of the channel itself. */
import type { Hello } from '@postern/protocol/channel'
import { AWAY_MS } from '@postern/protocol/limits'
import type { ReleaseCall, RouteStore } from '@postern/protocol/store'
import { ListedTunnel, type ListedTunnelDeps } from './listed-tunnel.ts'
import type { AgentTicket } from './ticket-host.ts'
import type { Claim, Parting } from './tunnel.ts'

export interface ClaimRouteDeps extends ListedTunnelDeps {
  readonly routes: RouteStore
  readonly taskId: string
  readonly bootId: string
  /** Milliseconds since 1970. */
  clock(): number
}

/**
 * A crash after the claim leaves a route that names a task whose lease runs out; the next claim of the name replaces it.
 * @throws TunnelFault `subdomain-taken`, `store-unavailable`
 */
export async function claimRoute(
  ticket: AgentTicket,
  hello: Hello,
  connId: string,
  deps: ClaimRouteDeps,
): Promise<Claim> {
  const { routes, taskId, bootId, clock } = deps
  const claimedAt = clock()
  const slot = { name: ticket.subdomain, slot: hello.slot, connId }
  const { epoch } = await routes.claim({
    ...slot,
    reservationId: ticket.reservationId,
    taskId,
    bootId,
    instanceId: hello.instanceId,
    pool: hello.pool,
    username: ticket.username,
    tokenHash: ticket.tokenHash,
    now: claimedAt,
  })
  // Nobody waits for the list: visitors reach the name already.
  const listed = new ListedTunnel({ ...slot, username: ticket.username, taskId, bootId, epoch, claimedAt }, deps)
  let released: Promise<unknown> | undefined
  return {
    epoch,
    async release(parting, holdMs) {
      const now = clock()
      released ??= routes.release({ ...slot, epoch, now, wait: waitFor(parting, holdMs, now) })
      const removed = listed.remove()
      try {
        await released
      } finally {
        await removed
      }
    },
    relist: () => listed.again(),
  }
}

/** What other tasks are told of the agent: the same as this one makes of it (route/local-routes.ts). */
function waitFor(parting: Parting, holdMs: number, now: number): ReleaseCall['wait'] {
  if (parting === 'dismissed') return undefined
  const awayUntil = now + AWAY_MS
  return { awayUntil, holdMs, heldUntil: parting === 'left' ? now + holdMs : awayUntil }
}
