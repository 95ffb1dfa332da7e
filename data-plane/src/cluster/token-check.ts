/** Reads the token of every live tunnel again from time to time: the back-stop for revocations that were never listed. Knows nothing of how a tunnel ends. */
import { type TunnelFault, toFault } from '@postern/protocol/fault'
import { TOKEN_RECHECK_MS, TOKEN_RECHECKS_AT_ONCE } from '@postern/protocol/limits'
import type { TokenStore } from '@postern/protocol/store'
import type { Tunnel } from '../channel/tunnel.ts'

type Checked = Pick<Tunnel, 'ticket' | 'tokenExpiresAt' | 'revoke' | 'relist'>

export interface TokenCheckDeps {
  readonly tokens: Pick<TokenStore, 'find'>
  tunnels(): Iterable<Checked>
  /** Monotonic milliseconds. */
  now(): number
  /** Uniform in [0, 1). */
  random(): number
  /** One token cannot be read although the table can: its tunnels stay. */
  unreadable(fault: TunnelFault): void
}

export class TokenCheck {
  readonly #deps: TokenCheckDeps
  /** When the token of each hash is read next. Those of live tunnels alone. */
  #due = new Map<string, number>()

  constructor(deps: TokenCheckDeps) {
    this.#deps = deps
  }

  /** Tokens that are kept in mind. */
  get size(): number {
    return this.#due.size
  }

  /**
   * Reads the tokens whose turn has come. A token that is new here gets a random turn within TOKEN_RECHECK_MS and keeps its
   * phase, so that agents that came all at once are not read all at once. Rejects with `store-unavailable` as soon as the
   * table is out of reach; what was not read then is read in a later round.
   */
  async round(): Promise<void> {
    const queue = this.#takeDue().entries()
    let outage: TunnelFault | undefined
    const work = async (): Promise<void> => {
      for (const [tokenHash, tunnels] of queue) {
        if (outage !== undefined) return
        outage = await this.#check(tokenHash, tunnels)
      }
    }
    await Promise.all(Array.from({ length: TOKEN_RECHECKS_AT_ONCE }, work))
    if (outage !== undefined) throw outage
  }

  /** The tunnels of each token whose turn it is. Forgets tokens without tunnels. */
  #takeDue(): Map<string, Checked[]> {
    const now = this.#deps.now()
    const live = new Map<string, number>()
    const due = new Map<string, Checked[]>()
    for (const tunnel of this.#deps.tunnels()) {
      const { tokenHash } = tunnel.ticket
      let at = live.get(tokenHash)
      if (at === undefined) {
        at = this.#due.get(tokenHash) ?? now + this.#deps.random() * TOKEN_RECHECK_MS
        live.set(tokenHash, at)
      }
      if (at > now) continue
      const others = due.get(tokenHash)
      if (others === undefined) due.set(tokenHash, [tunnel])
      else others.push(tunnel)
    }
    this.#due = live
    return due
  }

  /** Answers the fault of an outage. */
  async #check(tokenHash: string, tunnels: readonly Checked[]): Promise<TunnelFault | undefined> {
    const { tokens, unreadable } = this.#deps
    try {
      const token = await tokens.find(tokenHash)
      this.#nextTurn(tokenHash)
      for (const tunnel of tunnels) {
        if (token === undefined) tunnel.revoke('Its token is gone.')
        else if (token.tokenStatus === 'revoked') tunnel.revoke('Its token was revoked.')
        else {
          tunnel.tokenExpiresAt = token.expiresAt
          await tunnel.relist()
        }
      }
    } catch (error) {
      const fault = toFault(error)
      if (fault.code === 'store-unavailable') return fault
      this.#nextTurn(tokenHash)
      unreadable(fault)
    }
    return undefined
  }

  #nextTurn(tokenHash: string): void {
    const late = this.#deps.now() - (this.#due.get(tokenHash) ?? this.#deps.now())
    this.#due.set(tokenHash, this.#deps.now() + TOKEN_RECHECK_MS - (late % TOKEN_RECHECK_MS))
  }
}
