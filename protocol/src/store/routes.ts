/** Which channel has which slot of a name. Every claim raises the slot's epoch, which fences whoever had it before. */
import { TunnelFault } from '../fault.ts'
import { ROUTE_PURGE_AFTER_MS, SLOTS_PER_NAME } from '../limits.ts'
import { routeSchema } from './records.ts'
import type { ClaimCall, RouteStore } from './stores.ts'
import { type Condition, type Key, purgeAt, readAs, readable, type Table } from './table.ts'

const key = (name: string, slot: number): Key => ({ pk: `ROUTE#${name}`, sk: `CONN#${slot}` })

/** ULIDs compare as text: a later owner of the name beats an earlier one, never the reverse. Repeating a claim is harmless. */
const IS_NOT_A_LATER_OWNERS =
  '(attribute_not_exists(#pk) OR #reservationId = :reservationId OR #reservationId < :reservationId)'
const IS_FREE = 'attribute_not_exists(#pk)'
const IS_AS_READ = '#epoch = :epochRead'
const IS_THIS_CLAIM = '#connId = :connId AND #epoch = :epoch'

/**
 * The epoch starts at the clock, so that it does not go back when the item was purged in between; `purgeAt` and
 * `offlineSince` go with the claim.
 */
const CLAIM = `SET #epoch = if_not_exists(#epoch, :now) + :one, #name = :name, #slot = :slot, #taskId = :taskId,
  #bootId = :bootId, #connId = :connId, #instanceId = :instanceId, #pool = :pool, #username = :username,
  #reservationId = :reservationId, #tokenHash = :tokenHash, #routeState = :routeState, #claimedAt = :now`
const FORGET = 'REMOVE #purgeAt, #offlineSince, #awayUntil, #holdMs, #heldUntil'
/** Not every claim has them; what the former one had of them goes. */
const OPTIONAL = ['agentSlot', 'label', 'ousted', 'proof'] as const
/** The reservation stays, for the next claim to be compared with, and so does the agent, which may come back to find that it was replaced. */
const RELEASE = `SET #routeState = :routeState, #offlineSince = :now, #purgeAt = :purgeAt, #awayUntil = :awayUntil,
  #holdMs = :holdMs, #heldUntil = :heldUntil
  REMOVE #taskId, #bootId, #connId, #tokenHash, #claimedAt, #agentSlot, #label, #ousted, #proof`

export function routeStore(table: Table): RouteStore {
  return {
    async claim({ epochRead, ...claim }) {
      if (!Number.isInteger(claim.slot) || claim.slot < 0 || claim.slot >= SLOTS_PER_NAME) {
        throw new TunnelFault('hello-invalid', `slot is a number from 0 to ${SLOTS_PER_NAME - 1}.`)
      }
      const { reservationId, ...owner } = claim
      const written = await table.update(key(claim.name, claim.slot), {
        expression: claimExpression(claim),
        condition: claimCondition(reservationId, epochRead),
        values: { ...owner, routeState: 'online', one: 1 },
      })
      if (written.kind === 'refused') throw lost(claim, epochRead)
      const replaced = written.before && readAs(routeSchema, written.before)
      return { epoch: (replaced?.epoch ?? claim.now) + 1, replaced }
    },

    async release({ name, slot, connId, epoch, now, wait }) {
      const { awayUntil, holdMs, heldUntil } = wait ?? { awayUntil: now, holdMs: 0, heldUntil: now }
      const written = await table.update(key(name, slot), {
        expression: RELEASE,
        condition: { clause: IS_THIS_CLAIM, values: { connId, epoch } },
        values: {
          ...{ routeState: 'offline', now, purgeAt: purgeAt(now + ROUTE_PURGE_AFTER_MS) },
          ...{ awayUntil, holdMs, heldUntil },
        },
      })
      return written.kind === 'done'
    },

    async list(name, { consistent = false } = {}) {
      const items = await table.list(`ROUTE#${name}`, { consistent })
      return readable(routeSchema, items)
    },
  }
}

function claimExpression({ ousted, ...claim }: Partial<ClaimCall>): string {
  // A set of nobody is no set in DynamoDB.
  const given = { ...claim, ousted: ousted?.size ? ousted : undefined }
  const set = OPTIONAL.filter((name) => given[name] !== undefined)
  const rest = OPTIONAL.filter((name) => given[name] === undefined)
  return `${CLAIM}${set.map((name) => `, #${name} = :${name}`).join('')} ${FORGET}${rest.map((name) => `, #${name}`).join('')}`
}

function claimCondition(reservationId: string, epochRead: ClaimCall['epochRead']): Condition {
  if (epochRead === undefined) return { clause: IS_NOT_A_LATER_OWNERS, values: { reservationId } }
  const { epoch } = epochRead
  if (epoch === undefined) return { clause: `${IS_FREE} AND ${IS_NOT_A_LATER_OWNERS}`, values: { reservationId } }
  return { clause: `${IS_AS_READ} AND ${IS_NOT_A_LATER_OWNERS}`, values: { reservationId, epochRead: epoch } }
}

const lost = ({ name }: { name: string }, epochRead: ClaimCall['epochRead']): TunnelFault =>
  epochRead === undefined
    ? new TunnelFault('subdomain-taken', `"${name}" has a new owner.`)
    : new TunnelFault('superseded', `The slot of "${name}" was claimed at the same moment.`)
