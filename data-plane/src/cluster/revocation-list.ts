/** Revocations, made ready for being looked up by ticket. Knows nothing of where they come from, nor of tunnels. */
import type { Revocation } from '@postern/protocol/store'
import type { AgentTicket } from '../channel/ticket-host.ts'

/** What a revocation may be about. */
export type Revocable = Pick<AgentTicket, 'tokenHash' | 'username' | 'subdomain' | 'issuedAt'>

/** `final`: the agent has lost its right. `passing`: this channel ends, and the agent may ask for another ticket. */
export type Verdict = { readonly kind: 'final' | 'passing'; readonly detail: string }

const TOKEN: Verdict = { kind: 'final', detail: 'Its token was revoked.' }
const USER: Verdict = { kind: 'final', detail: 'The account was disabled or removed.' }
const SUBDOMAIN: Verdict = { kind: 'passing', detail: 'It was disconnected by an administrator or its owner.' }

export class RevocationList {
  readonly #tokens = new Set<string>()
  /** The latest `notBefore` of each. */
  readonly #users = new Map<string, number>()
  readonly #subdomains = new Map<string, number>()
  readonly #empty: boolean

  constructor(rows: readonly Revocation[]) {
    this.#empty = rows.length === 0
    for (const { what, key, notBefore } of rows) {
      switch (what) {
        case 'token':
          this.#tokens.add(key)
          break
        case 'user':
          keepLatest(this.#users, key, notBefore)
          break
        case 'subdomain':
          keepLatest(this.#subdomains, key, notBefore)
          break
      }
    }
  }

  /**
   * What has become of the right that `ticket` gave. A token is revoked for good; an account and a name are only taken from
   * whoever had a ticket by then. Both times are the control plane's, so no clock of a task has a say.
   */
  judge({ tokenHash, username, subdomain, issuedAt }: Revocable): Verdict | undefined {
    if (this.#empty) return undefined
    if (this.#tokens.has(tokenHash)) return TOKEN
    if (issuedAt <= (this.#users.get(username) ?? Number.NEGATIVE_INFINITY)) return USER
    if (issuedAt <= (this.#subdomains.get(subdomain) ?? Number.NEGATIVE_INFINITY)) return SUBDOMAIN
    return undefined
  }
}

function keepLatest(times: Map<string, number>, key: string, time: number): void {
  times.set(key, Math.max(time, times.get(key) ?? time))
}
