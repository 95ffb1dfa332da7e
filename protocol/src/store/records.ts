/** What the table holds, as the planes see it. Knows nothing of keys, attributes or expressions. Times are in ms since 1970. */
import * as z from 'zod/mini'

const time = z.number()
const names = z.set(z.string())

export const tokenSchema = z.object({
  tokenHash: z.string(),
  tokenId: z.string(),
  username: z.string(),
  scopes: names,
  tokenStatus: z.enum(['active', 'revoked']),
  /** Patterns of the names it may ask for; absent means none. */
  subdomains: z.optional(names),
  createdAt: time,
  expiresAt: time,
  /** What it was asked for with, in ms: rotation brings `expiresAt` forward, and makes another one of this length, as far as the token that asks lives. */
  lifeMs: z.optional(z.number()),
  /** The last day it was used, as yyyy-mm-dd. */
  lastUsedDay: z.optional(z.string()),
  label: z.string(),
})
export type Token = z.infer<typeof tokenSchema>

export const userSchema = z.object({
  username: z.string(),
  /** Patterns of the names that its tokens may ask for, whatever the tokens say; absent means none. */
  patterns: z.optional(names),
  /** The names that count against the quota, each with the time it was counted. */
  subdomains: z.record(z.string(), time),
  maxSubdomains: z.number(),
  maxTunnels: z.number(),
  disabled: z.boolean(),
  createdAt: time,
})
export type User = z.infer<typeof userSchema>

export const reservationSchema = z.object({
  name: z.string(),
  /** ULID: of two owners of one name the later has the greater one. */
  reservationId: z.string(),
  username: z.string(),
  /** A random name, which goes by itself when it is not used. */
  ephemeral: z.boolean(),
  /** Until when a name that is not in use stays with its owner; absent means for good. */
  heldUntil: z.optional(time),
  /** Set when its owner gave it back: held for them, but no longer counted. */
  releasedAt: z.optional(time),
  createdAt: time,
})
export type Reservation = z.infer<typeof reservationSchema>

export const ticketSchema = z.object({
  idHash: z.string(),
  username: z.string(),
  subdomain: z.string(),
  reservationId: z.string(),
  tokenHash: z.string(),
  /** When the token that asked ends, and with it the channel that this ticket opens. */
  tokenExpiresAt: time,
  issuedAt: time,
  /** Address keys, never empty. */
  allowedIps: names,
  sealedKey: z.string(),
  /** That the key of this ticket may serve the name (ticket/claim-proof.ts); missing where the control plane is of an older version. */
  grant: z.optional(z.string()),
  expiresAt: time,
})
export type Ticket = z.infer<typeof ticketSchema>

const owner = {
  taskId: z.string(),
  bootId: z.string(),
  connId: z.string(),
  instanceId: z.string(),
  pool: z.boolean(),
  tokenHash: z.string(),
  /** Which of its agent's own channels it is. Where it is missing: as the slot. */
  agentSlot: z.optional(z.number()),
  /** How its agent calls itself. */
  label: z.optional(z.string()),
  /** Agents that had the name before and have it no more: they are told so when they come back. */
  ousted: z.optional(names),
  /** The grant of its ticket, signed for this process; missing where node or control plane are of an older version. */
  proof: z.optional(z.string()),
}
const anyRoute = {
  name: z.string(),
  slot: z.number(),
  /** Rises with every claim of the slot, for as long as there is time. */
  epoch: z.number(),
  username: z.string(),
  reservationId: z.string(),
}
export const routeSchema = z.discriminatedUnion('routeState', [
  z.object({ ...anyRoute, ...owner, routeState: z.literal('online'), claimedAt: time }),
  z.object({
    ...anyRoute,
    routeState: z.literal('offline'),
    offlineSince: time,
    /** Who had it last. */
    instanceId: z.optional(z.string()),
    pool: z.optional(z.boolean()),
    /** Until when its agent counts as away; absent: not at all. */
    awayUntil: z.optional(time),
    /** How long a request may wait for the agent, in ms, and until when one may at all. */
    holdMs: z.optional(z.number()),
    heldUntil: z.optional(time),
  }),
])
export type Route = z.infer<typeof routeSchema>
export type OnlineRoute = Extract<Route, { routeState: 'online' }>

/** A channel that has lost its slot, to be told by its task. */
export const evictionSchema = z.object({
  connId: z.string(),
  /** The agent that has it now. */
  byInstance: z.string(),
  by: z.optional(z.string()),
  /** `superseded`: final for the agent that lost it. `displaced`: it may have another slot. */
  why: z.enum(['superseded', 'displaced']),
})
export type Eviction = z.infer<typeof evictionSchema>

export const taskSchema = z.object({
  taskId: z.string(),
  bootId: z.string(),
  /** `ip:port` of its peer listener. */
  addr: z.string(),
  leaseUntil: time,
  draining: z.boolean(),
  /** Channels that serve. */
  tunnels: z.number(),
  version: z.string(),
  /** What other tasks have to tell it, each as `evictionText` writes it. */
  evictions: z.optional(names),
})
export type Task = z.infer<typeof taskSchema>

export const revocationSchema = z.object({
  /** Place in the list of revocations: 15 digits of milliseconds, `#`, a ULID. */
  cursor: z.string(),
  what: z.enum(['token', 'user', 'subdomain']),
  /** The token's hash, the username or the name. */
  key: z.string(),
  /** Channels whose ticket was issued at this time or before are cut: both times are the control plane's. */
  notBefore: time,
})
export type Revocation = z.infer<typeof revocationSchema>

/** One slot of a name that is on line, in the list of all tunnels. The route is the truth; a row may be left over by a crash. */
export const tunnelSchema = z.object({
  name: z.string(),
  slot: z.number(),
  username: z.string(),
  taskId: z.string(),
  bootId: z.string(),
  connId: z.string(),
  /** Of the claim: of two channels that had the slot one after the other the later has the greater one. */
  epoch: z.number(),
  claimedAt: time,
})
export type TunnelRow = z.infer<typeof tunnelSchema>

export const auditSchema = z.object({
  at: time,
  /** The user, or `deployer` for whoever has the table itself. */
  actor: z.string(),
  /** Of the token that was used, where one was. */
  tokenId: z.optional(z.string()),
  /** What was done: the name of the operation, or `useTicket`. */
  action: z.string(),
  /** Whom or what it was done to: a token's id, a username, a name. */
  target: z.string(),
  ip: z.string(),
  /** `done`, or the code of the fault it was refused with. */
  result: z.string(),
  /** Set of what a node has written: it may be wrong where the node was taken over. */
  reportedBy: z.optional(z.literal('node')),
})
export type AuditEntry = z.infer<typeof auditSchema>

/** Accounts, names and addresses are shorter. A page of the audit must not grow by what a node wrote. */
const shortText = z.string().check(z.maxLength(256))

/** All that a node has to say in the audit. `at` is a time that `Date` can show. */
export const nodeAuditSchema = z.object({
  at: z.int().check(z.gte(0), z.lte(8_640_000_000_000_000)),
  actor: shortText,
  action: z.literal('useTicket'),
  target: shortText,
  ip: shortText,
  result: z.literal('done'),
})

/** What nodes verify grants by. Only the control plane may write it. */
export const grantKeysSchema = z.object({
  /** As `publishedKeys` writes them. */
  keys: names,
  /** Until when routes without a proof are believed. */
  unprovenUntil: time,
})
export type GrantKeys = z.infer<typeof grantKeysSchema>
