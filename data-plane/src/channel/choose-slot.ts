/** Which slot of its name a channel takes, and whose it takes it from: a function of what stands in the table. Knows nothing of the table itself. */
import { TunnelFault } from '@postern/protocol/fault'
import { OUSTED_KEPT, SLOTS_PER_NAME } from '@postern/protocol/limits'
import type { OnlineRoute, Route } from '@postern/protocol/store'

/** The channel that asks, as its agent's `hello` says. */
export interface Claimant {
  readonly connId: string
  readonly instanceId: string
  /** Its number among its agent's own channels. */
  readonly slot: number
  readonly pool: boolean
}

export interface SlotChoice {
  readonly slot: number
  /** Of that slot, as it was read; undefined: nobody ever had it. */
  readonly epochRead: number | undefined
  /** Channels of other agents that lose the name, wherever they are; final for those agents. */
  readonly ousted: readonly OnlineRoute[]
  /** Who had the slot although its task has no lease: should it live after all, it may look for another one. */
  readonly displaced: OnlineRoute | undefined
  /** Agents that the route shall remember as replaced. */
  readonly remembered: ReadonlySet<string>
}

/**
 * Both pooling: the lowest slot that is free, offline, or whose task's lease is over. The same agent's channel of the same number is
 * replaced. Otherwise the newest agent wins, and whoever it replaced does not win the name back by being late.
 * @param routes all slots of the name
 * @param isLive whether the lease of a route's task runs
 * @throws TunnelFault `superseded`, `pool-full`
 */
export function chooseSlot(
  claimant: Claimant,
  routes: readonly Route[],
  isLive: (route: OnlineRoute) => boolean,
): SlotChoice {
  const online = routes.filter((route) => route.routeState === 'online')
  const others = online.filter(({ instanceId }) => instanceId !== claimant.instanceId)
  const winner = others.find(({ ousted }) => ousted?.has(claimant.instanceId))
  if (winner) throw new TunnelFault('superseded', whoIs(winner))
  const ousted = others.filter((route) => !sharesWith(claimant, route))
  const slot = claimant.pool ? pooledSlot(claimant, online, ousted, isLive) : claimant.slot
  if (slot === undefined) throw new TunnelFault('pool-full', `There are ${SLOTS_PER_NAME} channels.`)
  const held = online.find((route) => route.slot === slot)
  const displaced = held && held.instanceId !== claimant.instanceId && !ousted.includes(held) ? held : undefined
  return {
    slot,
    epochRead: routes.find((route) => route.slot === slot)?.epoch,
    ousted,
    displaced,
    remembered: remembered(claimant, routes),
  }
}

/** How a person is told of an agent. */
export const whoIs = ({ label, instanceId }: { label?: string | undefined; instanceId: string }): string =>
  `It is ${label === undefined ? `instance ${instanceId}` : `"${label}"`}.`

const sharesWith = (claimant: Claimant, route: { pool?: boolean | undefined }): boolean =>
  claimant.pool && route.pool === true

function pooledSlot(
  { instanceId, slot: number }: Claimant,
  online: readonly OnlineRoute[],
  ousted: readonly OnlineRoute[],
  isLive: (route: OnlineRoute) => boolean,
): number | undefined {
  const own = online.find((route) => route.instanceId === instanceId && (route.agentSlot ?? route.slot) === number)
  if (own) return own.slot
  const taken = new Set(online.filter((route) => !ousted.includes(route) && isLive(route)).map(({ slot }) => slot))
  for (let slot = 0; slot < SLOTS_PER_NAME; slot += 1) if (!taken.has(slot)) return slot
  return undefined
}

/** Those that lose the name now or were on their way back to it, and those that whoever loses it now had replaced. The latest are kept. */
function remembered(claimant: Claimant, routes: readonly Route[]): ReadonlySet<string> {
  const agents = new Set<string>()
  for (const route of routes) {
    if (route.routeState === 'online') for (const instanceId of route.ousted ?? []) agents.add(instanceId)
  }
  for (const route of routes) {
    const { instanceId } = route
    if (instanceId === undefined || instanceId === claimant.instanceId || sharesWith(claimant, route)) continue
    // Read again, it is of the latest.
    agents.delete(instanceId)
    agents.add(instanceId)
  }
  agents.delete(claimant.instanceId)
  return new Set([...agents].slice(-OUSTED_KEPT))
}
