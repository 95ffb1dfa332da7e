/** Takes a name in the table for a channel, and lets it go again. Knows nothing of the channel itself. */
import type { Hello } from '@postern/protocol/channel'
import type { RouteStore } from '@postern/protocol/store'
import type { AgentTicket } from './ticket-host.ts'
import type { Claim } from './tunnel.ts'

export interface ClaimRouteDeps {
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
    now: clock(),
  })
  let released: Promise<unknown> | undefined
  return {
    epoch,
    async release() {
      released ??= routes.release({ ...slot, epoch, now: clock() })
      await released
    },
  }
}
