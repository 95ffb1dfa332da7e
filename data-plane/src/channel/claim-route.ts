/** Takes a slot of a name in the table for a channel, lists the tunnel there, and lets both go again. Knows nothing of the channel itself. */
import type { Hello } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { AWAY_MS, CLAIM_AGAIN_MS, CLAIM_TRIES } from '@postern/protocol/limits'
import type { OnlineRoute, ReleaseCall, RouteStore } from '@postern/protocol/store'
import { proveClaim } from '@postern/protocol/ticket'
import { chooseSlot, type SlotChoice } from './choose-slot.ts'
import type { Claim } from './claim.ts'
import { ListedTunnel, type ListedTunnelDeps } from './listed-tunnel.ts'
import type { Parting } from './parting.ts'
import type { AgentTicket } from './ticket-host.ts'

/** A channel that has lost its slot, and to whom. */
export interface Loss {
  readonly lost: OnlineRoute
  readonly by: { readonly instanceId: string; readonly label: string | undefined }
  /** `superseded`: final for its agent. `displaced`: it may have another slot. */
  readonly why: 'superseded' | 'displaced'
}

export interface ClaimRouteDeps extends ListedTunnelDeps {
  readonly routes: RouteStore
  readonly taskId: string
  readonly bootId: string
  /** Which routes name a task that is there, as the table says now. */
  readLiveTasks(): Promise<(route: OnlineRoute) => boolean>
  /** Has a channel told, wherever it is, that it has lost its slot. Resolves once that is on its way. */
  tell(loss: Loss): Promise<void>
  /** It could not be told; it hears of it when its agent asks for its next channel. */
  untold(loss: Loss, fault: TunnelFault): void
  /** Milliseconds since 1970. */
  clock(): number
  /** Uniform in [0, 1). */
  random(): number
  sleep(ms: number): Promise<void>
}

interface Won {
  readonly epoch: number
  readonly choice: SlotChoice
}

/**
 * A crash after the claim leaves a route that names a task whose lease runs out; the next claim of the name replaces it. Whoever lost the
 * name is told by `settle`: after a crash before it they serve on from other slots, until their next channel finds itself replaced.
 * @throws TunnelFault `subdomain-taken`, `superseded`, `pool-full`, `store-unavailable`
 */
export async function claimRoute(
  ticket: AgentTicket,
  hello: Hello,
  connId: string,
  deps: ClaimRouteDeps,
): Promise<Claim> {
  const { routes, taskId, bootId, clock } = deps
  const claimedAt = clock()
  const { epoch, choice } = await win(ticket, hello, connId, claimedAt, deps)
  const slot = { name: ticket.subdomain, slot: choice.slot, connId }
  // Nobody waits for the list: visitors reach the name already.
  const listed = new ListedTunnel({ ...slot, username: ticket.username, taskId, bootId, epoch, claimedAt }, deps)
  let released: Promise<unknown> | undefined
  return {
    epoch,
    slot: choice.slot,
    settle: () => settle(choice, hello, deps),
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

/** Looks, chooses and claims on what was seen, until it was still so. */
async function win(ticket: AgentTicket, hello: Hello, connId: string, now: number, deps: ClaimRouteDeps): Promise<Won> {
  const { routes, taskId, bootId } = deps
  const { instanceId, pool, label } = hello
  const { grant, encryptionKey } = ticket
  const proof = grant === undefined ? undefined : proveClaim(grant, encryptionKey, { taskId, bootId })
  const claimant = { connId, instanceId, slot: hello.slot, pool }
  let tried: SlotChoice | undefined
  for (let losses = 0; losses < CLAIM_TRIES; losses += 1) {
    if (losses > 0) await deps.sleep(deps.random() * CLAIM_AGAIN_MS * losses)
    const seen = await routes.list(ticket.subdomain, { consistent: true })
    // The answer to the attempt before was lost on its way, and it had won.
    const ours = seen.find((route) => route.routeState === 'online' && route.connId === connId)
    if (ours && tried) return { epoch: ours.epoch, choice: tried }
    const contested = seen.some((route) => route.routeState === 'online' && route.instanceId !== instanceId)
    const choice = chooseSlot(claimant, seen, contested ? await deps.readLiveTasks() : () => true)
    tried = choice
    try {
      const { epoch } = await routes.claim({
        ...{ name: ticket.subdomain, slot: choice.slot, reservationId: ticket.reservationId },
        ...{ taskId, bootId, connId, instanceId, pool, label, agentSlot: hello.slot, ousted: choice.remembered },
        ...{ username: ticket.username, tokenHash: ticket.tokenHash, proof, now },
        epochRead: { epoch: choice.epochRead },
      })
      return { epoch, choice }
    } catch (error) {
      const { code } = toFault(error)
      if (code !== 'superseded') throw error
      // Somebody else was faster, or a later owner of the name was there before: only the second is final.
      const taken = seen.some(({ reservationId }) => reservationId > ticket.reservationId)
      if (taken) throw new TunnelFault('subdomain-taken', `"${ticket.subdomain}" has a new owner.`)
    }
  }
  throw new TunnelFault('server-busy', `Too many agents ask for "${ticket.subdomain}" at once.`)
}

/** Others' slots go offline, then their channels are told. Never rejects. */
async function settle({ slot, ousted, displaced }: SlotChoice, hello: Hello, deps: ClaimRouteDeps): Promise<void> {
  const by = { instanceId: hello.instanceId, label: hello.label }
  const losses: Loss[] = ousted.map((lost) => ({ lost, by, why: 'superseded' }))
  if (displaced) losses.push({ lost: displaced, by, why: 'displaced' })
  await Promise.all(
    losses.map(async (loss) => {
      const { name, slot: theirs, connId, epoch } = loss.lost
      try {
        // First, so that a channel of ours hears before anything is written.
        const told = deps.tell(loss)
        if (theirs !== slot) await deps.routes.release({ name, slot: theirs, connId, epoch, now: deps.clock() })
        await told
      } catch (error) {
        deps.untold(loss, toFault(error, 'store-unavailable'))
      }
    }),
  )
}

/** What other tasks are told of the agent: the same as this one makes of it (route/local-routes.ts). */
function waitFor(parting: Parting, holdMs: number, now: number): ReleaseCall['wait'] {
  if (parting === 'dismissed' || parting === 'moved') return undefined
  const awayUntil = now + AWAY_MS
  return { awayUntil, holdMs, heldUntil: parting === 'left' ? now + holdMs : awayUntil }
}
