/** What the planes may ask of the table, one interface for each noun. Knows nothing of DynamoDB. */
import type {
  AuditEntry,
  Eviction,
  GrantKeys,
  Reservation,
  Revocation,
  Route,
  Task,
  Ticket,
  Token,
  TunnelRow,
  User,
} from './records.ts'

/** Hands out ids that sort by the time they were made (ULID). */
export type NewId = () => string

/** Which part of a list: at most `limit` items after the place where another page ended. */
export interface PageCall {
  readonly after?: string | undefined
  readonly limit: number
}
/** `next` is where the following page begins; absent on the last one. A page may be shorter than asked for, and still have a next. */
export interface Page<T> {
  readonly items: readonly T[]
  readonly next?: string | undefined
}

export interface TicketStore {
  /** Records a ticket that nobody has yet. */
  issue(ticket: Ticket): Promise<void>
  /** Strongly consistent. An expired or deleted ticket may still be found: compare `expiresAt`. */
  find(idHash: string): Promise<Ticket | undefined>
  /**
   * Spends the ticket: one of any number of callers wins, and only while it is valid for `addressKey`.
   * @throws TunnelFault `server-busy` if the outcome is unknown: the ticket may be spent or not.
   */
  consume(call: { idHash: string; addressKey: string; now: number }): Promise<Consumed>
}
export type Consumed = { kind: 'won'; ticket: Ticket } | { kind: 'lost' }

export interface TokenStore {
  find(tokenHash: string): Promise<Token | undefined>
  /** @throws TunnelFault `internal-error` if there is such a token already. */
  create(token: Omit<Token, 'tokenStatus' | 'lastUsedDay'>): Promise<void>
  /** Notes the day (yyyy-mm-dd) of use; at most one write a day is needed. */
  touch(call: { tokenHash: string; day: string }): Promise<void>
  findById(tokenId: string): Promise<Token | undefined>
  /** In the order of their ids, and so of their making. */
  list(call: PageCall): Promise<Page<Token>>
  listOf(username: string, call: PageCall): Promise<Page<Token>>
  /** Harmless when repeated. Answers whether there is such a token; with `owner`, whether there is one of theirs. */
  revoke(call: { tokenHash: string; owner?: string | undefined; now: number; newId: NewId }): Promise<boolean>
  /** Lets the token end at `at`, unless it ends sooner. Answers whether there is such a token, of `owner` where given, that is active. */
  expire(call: { tokenHash: string; owner?: string | undefined; at: number }): Promise<boolean>
}

export interface UserStore {
  find(username: string): Promise<User | undefined>
  /** Answers whether the user was made; false: there is one of this name, which is left as it is. */
  create(user: Omit<User, 'subdomains' | 'disabled'>): Promise<boolean>
  /** By name. */
  list(call: PageCall): Promise<Page<User>>
  /** Changes what is given, and answers the user as they are then; undefined: there is no such user. */
  update(username: string, changes: UserChanges): Promise<User | undefined>
  /** Answers whether there was such a user. Tokens and names of theirs are the caller's business, beforehand. */
  remove(username: string): Promise<boolean>
}
export type UserChanges = Partial<Pick<User, 'patterns' | 'maxSubdomains' | 'maxTunnels' | 'disabled'>>

export interface ReservationStore {
  find(name: string): Promise<Reservation | undefined>
  /** The id of the reservation, if the name is somebody's: not one that was given back, nor a random one that is not held any more. Strongly consistent. */
  ownerOf(name: string, now: number): Promise<string | undefined>
  /**
   * Makes sure that `name` belongs to `username`, who must exist; a name that is theirs already is only kept alive.
   * A random name asked for as a lasting one becomes one, never the reverse.
   * @throws TunnelFault `subdomain-taken`, `subdomain-quota` or `user-disabled`.
   */
  reserve(call: ReserveCall): Promise<Reservation>
  /** By name; of all accounts. */
  list(call: PageCall): Promise<Page<Reservation>>
  /** By name. */
  listOf(username: string, call: PageCall): Promise<Page<Reservation>>
  /** Gives the name back; it is held for its owner for a week. Answers whether it was theirs; without `owner`, whether it was anybody's. */
  release(call: { name: string; owner?: string | undefined; now: number }): Promise<boolean>
}
export interface ReserveCall {
  name: string
  username: string
  ephemeral: boolean
  now: number
  newId: NewId
}

export interface RouteStore {
  /**
   * Makes the caller the owner of the slot, whoever has it now, and answers the epoch of the claim and what it replaced.
   * With `epochRead`, only if nobody claimed the slot since it was read (`undefined`: since it was found free).
   * @throws TunnelFault `subdomain-taken` if a later reservation has the name; `superseded` if `epochRead` is no longer so.
   */
  claim(call: ClaimCall): Promise<{ epoch: number; replaced: Route | undefined }>
  /**
   * Takes the slot offline, if that claim still has it. Answers whether it had; a stale release changes nothing. `wait`: for how long its agent
   * counts as away, and requests may wait for it; without it, not at all.
   */
  release(call: ReleaseCall): Promise<boolean>
  /** All slots of a name, in order. */
  list(name: string, options?: { consistent?: boolean }): Promise<Route[]>
}
export interface ReleaseCall {
  name: string
  slot: number
  connId: string
  epoch: number
  now: number
  wait?: { awayUntil: number; holdMs: number; heldUntil: number } | undefined
}
export interface ClaimCall {
  name: string
  slot: number
  reservationId: string
  taskId: string
  bootId: string
  connId: string
  instanceId: string
  pool: boolean
  username: string
  tokenHash: string
  agentSlot?: number | undefined
  label?: string | undefined
  ousted?: ReadonlySet<string> | undefined
  proof?: string | undefined
  now: number
  epochRead?: { epoch: number | undefined }
}

export interface TaskStore {
  /** Takes or renews the lease. `refused`: another process has this task id now, and the caller must serve nothing more. */
  renew(call: Omit<Task, 'leaseUntil' | 'evictions'> & { now: number }): Promise<'renewed' | 'refused'>
  /** Gives the lease up, if it is still this process's. */
  end(call: { taskId: string; bootId: string }): Promise<void>
  list(): Promise<Task[]>
  /** Leaves word for another task that a channel of its has lost its slot. False: that process is there no more. Harmless when repeated. */
  evict(call: { taskId: string; bootId: string; eviction: Eviction }): Promise<boolean>
  /** Takes away what has been heeded, of this process's own. */
  heeded(call: { taskId: string; bootId: string; evictions: ReadonlySet<string> }): Promise<void>
}

/** The public keys of the control plane's grants. */
export interface GrantKeyStore {
  /** Undefined: the control plane has published none, because it is of an older version. Strongly consistent. */
  read(): Promise<GrantKeys | undefined>
  /** Takes the place of the keys that were published before; `unprovenUntil` counts the first time alone. */
  publish(keys: GrantKeys): Promise<void>
}

export interface RevocationStore {
  /** Puts one at the end of the list. */
  add(call: Omit<Revocation, 'cursor'> & { now: number; newId: NewId }): Promise<void>
  /**
   * Those after `cursor`, oldest first; '' is the beginning. A row of a form that this version does not know keeps none of the
   * others from being read: `unreadable` is told its cursor.
   */
  since(cursor: string, unreadable?: (cursor: string) => void): Promise<Revocation[]>
}

/** The list of all tunnels that are on line, for people. Nothing on the way of a request reads it. */
export interface TunnelStore {
  /** Unless the slot's row is that of a later claim. */
  put(row: TunnelRow): Promise<void>
  /** Only if the row is still that channel's. */
  remove(call: { name: string; slot: number; connId: string }): Promise<void>
  /** By name. Rows of tasks that are gone are among them. */
  list(call: PageCall): Promise<Page<TunnelRow>>
}

export interface AuditStore {
  /** What the control plane did, or whoever has the table itself. */
  add(call: Omit<AuditEntry, 'at' | 'reportedBy'> & { now: number; newId: NewId }): Promise<void>
  /** Of one day (yyyy-mm-dd, UTC), oldest first; entries of nodes among them. */
  list(day: string, call: PageCall): Promise<Page<AuditEntry>>
}

/** The audit as far as a node may write it. */
export interface NodeAuditStore {
  add: AuditStore['add']
}

export interface FailedAuthStore {
  /** Counts one more failure of `address` (an address key) in the running minute, and answers how many there are. */
  count(call: { address: string; now: number }): Promise<number>
}

export interface Stores {
  readonly tickets: TicketStore
  readonly tokens: TokenStore
  readonly users: UserStore
  readonly reservations: ReservationStore
  readonly routes: RouteStore
  readonly tasks: TaskStore
  readonly revocations: RevocationStore
  readonly grantKeys: GrantKeyStore
  readonly tunnels: TunnelStore
  readonly audit: AuditStore
  readonly nodeAudit: NodeAuditStore
  readonly failedAuth: FailedAuthStore
}
