/** Revocations, made ready for being looked up by ticket. Knows nothing of where they come from, nor of tunnels. */
import type { Revocation } from '@postern/protocol/store'
import type { AgentTicket } from '../channel/ticket-host.ts'

/** What a revocation may be about. */
export type Revocable = Pick<AgentTicket, 'tokenHash' | 'username' | 'issuedAt'> & { readonly subdomain: string }

/** `final`: the agent has lost its right. `passing`: this channel ends, and the agent may ask for another ticket. */
export type Verdict = { readonly kind: 'final' | 'passing'; readonly detail: string }

const TOKEN: Verdict = { kind: 'final', detail: 'Its token was revoked.' }
const USER: Verdict = { kind: 'final', detail: 'The account was disabled or removed.' }
const SUBDOMAIN: Verdict = { kind: 'passing', detail: 'It was disconnected by an administrator or its owner.' }

export class RevocationList {
  /** The latest `notBefore` of each. */
  readonly #tokens = new Map<string, number>()
  readonly #users = new Map<string, number>()
  readonly #subdomains = new Map<string, number>()

  add(rows: readonly Revocation[]): void {
    for (const { what, key, notBefore } of rows) {
      switch (what) {
        case 'token':
          keepLatest(this.#tokens, key, notBefore)
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

  /** Leaves out what is older than `time`, by the control plane's clock: no ticket from before it is of use any more. */
  forget(time: number): void {
    for (const times of [this.#tokens, this.#users, this.#subdomains])
      for (const [key, notBefore] of times) if (notBefore < time) times.delete(key)
  }

  /**
   * What has become of the right that `ticket` gave. A token is revoked for good; an account and a name are only taken from
   * whoever had a ticket by then. Both times are the control plane's, so no clock of a task has a say.
   */
  judge({ tokenHash, username, subdomain, issuedAt }: Revocable): Verdict | undefined {
    if (this.#tokens.has(tokenHash)) return TOKEN
    if (issuedAt <= (this.#users.get(username) ?? Number.NEGATIVE_INFINITY)) return USER
    if (issuedAt <= (this.#subdomains.get(subdomain) ?? Number.NEGATIVE_INFINITY)) return SUBDOMAIN
    return undefined
  }
}

function keepLatest(times: Map<string, number>, key: string, time: number): void {
  times.set(key, Math.max(time, times.get(key) ?? time))
}
