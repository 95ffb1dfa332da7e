/** What the data plane adds to the audit: that a ticket was used. Nobody waits for it. */
import { type TunnelFault, toFault } from '@postern/protocol/fault'
import type { AuditEntry, NewId, NodeAuditStore } from '@postern/protocol/store'

export interface AuditTrailDeps {
  readonly audit: NodeAuditStore
  /** Milliseconds since 1970. */
  clock(): number
  readonly newId: NewId
  /** The entry is lost to the table; whoever hears of it keeps it. */
  lost(entry: AuditEntry, fault: TunnelFault): void
}

export class AuditTrail {
  readonly #deps: AuditTrailDeps
  readonly #writing = new Set<Promise<void>>()

  constructor(deps: AuditTrailDeps) {
    this.#deps = deps
  }

  /** A channel was opened with a ticket of `username` for `subdomain`, from `ip`. */
  ticketUsed({ username, subdomain, ip }: { username: string; subdomain: string; ip: string }): void {
    const at = this.#deps.clock()
    const entry = { at, actor: username, action: 'useTicket', target: subdomain, ip, result: 'done' }
    const writing = this.#write(entry).finally(() => this.#writing.delete(writing))
    this.#writing.add(writing)
  }

  /** Resolves when nothing is being written any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#writing)
  }

  async #write({ at, ...entry }: AuditEntry): Promise<void> {
    const { audit, newId, lost } = this.#deps
    try {
      await audit.add({ ...entry, now: at, newId })
    } catch (error) {
      lost({ at, ...entry }, toFault(error, 'store-unavailable'))
    }
  }
}
