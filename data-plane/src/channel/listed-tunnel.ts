/** One tunnel's row in the list of all tunnels, which people read. Nothing depends on it, so its failures are only told. */
import { type TunnelFault, toFault } from '@postern/protocol/fault'
import { TUNNEL_ROW_AGAIN_MS } from '@postern/protocol/limits'
import type { TunnelRow, TunnelStore } from '@postern/protocol/store'

export interface ListedTunnelDeps {
  readonly tunnels: Pick<TunnelStore, 'put' | 'remove'>
  /** Monotonic milliseconds. */
  now(): number
  unlisted(row: TunnelRow, fault: TunnelFault): void
}

/** Writes follow one another, so that a late put cannot bring a removed row back. None of them rejects. */
export class ListedTunnel {
  readonly #row: TunnelRow
  readonly #deps: ListedTunnelDeps
  #writing: Promise<void>
  /** When the row was last put; undefined if it may not be there. */
  #putAt: number | undefined
  #removed = false

  /** Begins to put the row. */
  constructor(row: TunnelRow, deps: ListedTunnelDeps) {
    this.#row = row
    this.#deps = deps
    this.#writing = this.#put()
  }

  /** Puts the row once more if that failed the last time, or is long ago. */
  async again(): Promise<void> {
    await this.#writing
    if (this.#removed) return
    if (this.#putAt !== undefined && this.#deps.now() - this.#putAt < TUNNEL_ROW_AGAIN_MS) return
    this.#writing = this.#put()
    await this.#writing
  }

  /** For good. A crash before it leaves a row whose task's lease ends. */
  async remove(): Promise<void> {
    if (!this.#removed) {
      this.#removed = true
      const { name, slot, connId } = this.#row
      this.#writing = this.#writing
        .then(() => this.#write(() => this.#deps.tunnels.remove({ name, slot, connId })))
        .then(() => undefined)
    }
    await this.#writing
  }

  async #put(): Promise<void> {
    const done = await this.#write(() => this.#deps.tunnels.put(this.#row))
    this.#putAt = done ? this.#deps.now() : undefined
  }

  async #write(write: () => Promise<void>): Promise<boolean> {
    try {
      await write()
      return true
    } catch (error) {
      this.#deps.unlisted(this.#row, toFault(error, 'store-unavailable'))
      return false
    }
  }
}
