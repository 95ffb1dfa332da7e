/** Reads the list of revocations again and again, and ends the tunnels concerned, also those whose token has expired. Knows nothing of how a tunnel ends. */
import { TunnelFault } from '@postern/protocol/fault'
import { GRANT_LIFE_MS, REVOCATION_WINDOW_MS } from '@postern/protocol/limits'
import type { RevocationStore } from '@postern/protocol/store'
import type { Tunnel } from '../channel/tunnel.ts'
import { type Revocable, RevocationList } from './revocation-list.ts'

/** A cursor begins with the milliseconds of its row, in so many digits. */
const CURSOR_TIME_DIGITS = 15

export interface RevocationWatchDeps {
  readonly revocations: Pick<RevocationStore, 'since'>
  tunnels(): Iterable<Pick<Tunnel, 'ticket' | 'tokenExpiresAt' | 'revoke' | 'disconnect'>>
  /** A row that this version cannot read; told once for as long as it is in the window. */
  unreadable(cursor: string): void
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
}

export class RevocationWatch {
  readonly #deps: RevocationWatchDeps
  /** All that were read, as long as a ticket from before them may still prove a route. */
  readonly #list = new RevocationList()
  /** Cursors of rows that were told as unreadable. */
  #told: ReadonlySet<string> = new Set()
  /** The time of the latest row there is, by the control plane's clock, and when it was first seen, by ours. */
  #newest: { readonly time: number; readonly seenAt: number } | undefined

  constructor(deps: RevocationWatchDeps) {
    this.#deps = deps
  }

  /**
   * Reads the rows of the window and applies all of them, those that were there the last time too: a ticket issued before a
   * revocation may open its channel after it. Rejects with the table's fault; what was known before is applied all the same.
   */
  async round(): Promise<void> {
    try {
      const unreadable = new Set<string>()
      const rows = await this.#deps.revocations.since(this.#from(), (cursor) => unreadable.add(cursor))
      for (const cursor of unreadable) if (!this.#told.has(cursor)) this.#deps.unreadable(cursor)
      this.#told = unreadable
      const latest = rows.at(-1)
      if (latest !== undefined) this.#see(Number(latest.cursor.slice(0, CURSOR_TIME_DIGITS)))
      this.#list.add(rows)
      if (this.#newest !== undefined) this.#list.forget(this.#newest.time - GRANT_LIFE_MS)
    } finally {
      this.#enforce()
    }
  }

  /** Whether the right that the ticket gave is gone, as far as the table was read. */
  isRevoked(ticket: Revocable): boolean {
    return this.#list.judge(ticket) !== undefined
  }

  /**
   * For a channel that asks for its name now.
   * @throws TunnelFault `revoked`, or `ticket-refused` if another ticket may be had
   */
  admit(ticket: Revocable): void {
    const verdict = this.#list.judge(ticket)
    if (verdict) throw new TunnelFault(verdict.kind === 'final' ? 'revoked' : 'ticket-refused', verdict.detail)
  }

  /**
   * A window before now, by the control plane's clock as far as its rows have told it: without new rows the window moves on
   * and the polls become empty. Everything there is, as long as no row was seen.
   */
  #from(): string {
    if (this.#newest === undefined) return ''
    const { time, seenAt } = this.#newest
    const from = Math.max(0, Math.floor(time + this.#deps.now() - seenAt - REVOCATION_WINDOW_MS))
    return String(from).padStart(CURSOR_TIME_DIGITS, '0')
  }

  #see(time: number): void {
    if (time > (this.#newest?.time ?? -1)) this.#newest = { time, seenAt: this.#deps.now() }
  }

  #enforce(): void {
    const time = this.#deps.clock()
    for (const tunnel of this.#deps.tunnels()) {
      const verdict = this.#list.judge(tunnel.ticket)
      if (verdict?.kind === 'final') tunnel.revoke(verdict.detail)
      else if (verdict) tunnel.disconnect(new TunnelFault('channel-closed', verdict.detail))
      // Whether the token has expired is the control plane's to say, when the agent asks it for the next ticket.
      else if (tunnel.tokenExpiresAt <= time) tunnel.disconnect(new TunnelFault('token-expired'))
    }
  }
}
