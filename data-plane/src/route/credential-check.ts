/**
 * Whether a visitor's name and password are among those of one tunnel. Each pair is hashed once (a thread of the pool, some 40 ms), and the
 * verdict is remembered under a keyed digest. Knows nothing of connections. See docs/decisions/0008-visitor-passwords.md.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { VisitorRules } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { CREDENTIAL_CHECKS_WAITING, CREDENTIAL_REFUSALS_KEPT } from '@postern/protocol/limits'
import type { Turnstile } from './turnstile.ts'
import type { WrongPasswords } from './wrong-passwords.ts'

/** Why they do not let in; undefined: they do. */
export type Refusal = TunnelFault | undefined

export interface CredentialCheckDeps {
  /** Secret of the process: digests of passwords mean nothing outside it. */
  readonly key: Buffer
  /** Shared by all tunnels of the process. */
  readonly turnstile: Turnstile
  /** Shared by all channels of the process: a tunnel may have several. */
  readonly wrongPasswords: WrongPasswords
  hash(credentials: Buffer, salt: Buffer): Promise<Buffer>
  /** Monotonic milliseconds. */
  now(): number
}

export class CredentialCheck {
  readonly #salt: Buffer
  readonly #hashes: readonly Buffer[]
  readonly #deps: CredentialCheckDeps
  readonly #tunnel: string
  /** By digest. Never more than there are hashes. */
  readonly #right = new Set<string>()
  /** By digest, oldest first. */
  readonly #refused = new Set<string>()
  readonly #pending = new Map<string, Promise<Refusal>>()
  /** One at a time for each tunnel, so that the line of the process has at most one of each. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(tunnel: string, { salt, hashes }: NonNullable<VisitorRules['basicAuth']>, deps: CredentialCheckDeps) {
    this.#tunnel = tunnel
    this.#salt = Buffer.from(salt, 'base64url')
    this.#hashes = hashes.map((hash) => Buffer.from(hash, 'base64url'))
    this.#deps = deps
  }

  /** @param credentials `name:password` */
  judge(credentials: Buffer, address: string): Refusal | Promise<Refusal> {
    const digest = createHmac('sha256', this.#deps.key).update(credentials).digest('base64')
    if (this.#right.has(digest)) return undefined
    if (this.#refused.has(digest)) return new TunnelFault('visitor-unauthorised')
    return this.#pending.get(digest) ?? this.#begin(credentials, digest, address)
  }

  #begin(credentials: Buffer, digest: string, address: string): Refusal | Promise<Refusal> {
    const locked = this.#lockOut(address)
    if (locked !== undefined) return locked
    if (this.#pending.size >= CREDENTIAL_CHECKS_WAITING) return new TunnelFault('visitor-checks-busy')
    const verdict = this.#last.then(() => this.#verdict(credentials, digest, address))
    this.#last = verdict
    this.#pending.set(digest, verdict)
    return verdict
  }

  async #verdict(credentials: Buffer, digest: string, address: string): Promise<Refusal> {
    try {
      // Those before it in the line may have been wrong, too.
      const locked = this.#lockOut(address)
      if (locked !== undefined) return locked
      const hash = await this.#deps.turnstile.pass(() => this.#deps.hash(credentials, this.#salt))
      if (this.#isKnown(hash)) {
        this.#right.add(digest)
        return undefined
      }
      this.#deps.wrongPasswords.add(this.#tunnel, address)
      this.#refuse(digest)
      return new TunnelFault('visitor-unauthorised')
    } catch (error) {
      // Not hashed (memory, threads): nobody knows whether it is right, so it does not pass.
      return toFault(error)
    } finally {
      this.#pending.delete(digest)
    }
  }

  #lockOut(address: string): Refusal {
    const retryAfterMs = this.#deps.wrongPasswords.lockedFor(this.#tunnel, address)
    return retryAfterMs > 0 ? new TunnelFault('visitor-locked-out', undefined, { retryAfterMs }) : undefined
  }

  /** Looks at all of them, in the same time whichever it is. */
  #isKnown(hash: Buffer): boolean {
    return this.#hashes.reduce((known, candidate) => timingSafeEqual(candidate, hash) || known, false)
  }

  #refuse(digest: string): void {
    this.#refused.add(digest)
    if (this.#refused.size <= CREDENTIAL_REFUSALS_KEPT) return
    const [oldest] = this.#refused
    this.#refused.delete(oldest!)
  }
}
