/**
 * The cookie by which a visitor who has sent a tunnel's password need not send it again: an expiry, signed with a subkey of the deployment for this name and these passwords.
 * See docs/decisions/0018-passwords-and-browsers.md.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { VisitorRules } from '@postern/protocol/channel'
import { cookieValues, type PublicPlace, type RequestHead } from '@postern/protocol/http'
import { SIGN_IN_COOKIES_READ, SIGN_IN_ISSUED_MS, SIGN_IN_MS, SIGN_IN_RENEWED_MS } from '@postern/protocol/limits'
import { type DeploymentKey, type DeploymentKeys, keyById } from '@postern/protocol/ticket'

/** Browsers keep `__Host-` cookies to one host, and take them over https alone (RFC 6265bis §4.1.3.2). */
const NAME_OVER_HTTPS = '__Host-postern-visitor'
const NAME_IN_CLEAR = 'postern-visitor'
export const SIGN_IN_COOKIES: ReadonlySet<string> = new Set([NAME_OVER_HTTPS, NAME_IN_CLEAR])
/** In the order in which they are read: the page of another tunnel cannot plant a cookie under the first name. */
const READ_IN_TURN: readonly ReadonlySet<string>[] = [new Set([NAME_OVER_HTTPS]), new Set([NAME_IN_CLEAR])]

/** Id of the key, milliseconds since 1970, MAC. */
const VALUE = /^([0-9a-f]{8})\.([0-9a-z]{1,11})\.([0-9A-Za-z_-]{43})$/
const RADIX = 36

export interface SignInCookieDeps {
  readonly keys: DeploymentKeys
  /** Milliseconds since 1970. */
  clock(): number
}

/** `aging`: it holds, and is to be replaced when its visitor sends the password. */
export type SignInState = 'none' | 'aging' | 'fresh'

export class SignInCookie {
  readonly #deps: SignInCookieDeps
  /** What the MAC binds beside the expiry. */
  readonly #subject: string
  #issued = { at: Number.NEGATIVE_INFINITY, value: '' }

  constructor(name: string, { salt, hashes }: NonNullable<VisitorRules['basicAuth']>, deps: SignInCookieDeps) {
    this.#deps = deps
    const passwords = createHash('sha256')
      .update(JSON.stringify([salt, hashes.toSorted()]))
      .digest('base64url')
    this.#subject = `${name}.${passwords}`
  }

  state(head: RequestHead): SignInState {
    let left = 0
    const fields = head.fieldValues('cookie')
    const values = READ_IN_TURN.flatMap((name) => fields.flatMap((field) => cookieValues(field, name)))
    for (const value of values.filter((each) => VALUE.test(each)).slice(0, SIGN_IN_COOKIES_READ))
      left = Math.max(left, this.#timeLeft(value))
    if (left <= 0) return 'none'
    return left < SIGN_IN_RENEWED_MS ? 'aging' : 'fresh'
  }

  /** Complete field lines for a response. A shared cache must not keep them with it (RFC 9111 §5.2.2.7). */
  linesFor({ scheme }: PublicPlace): string {
    const [name, secure] = scheme === 'https' ? [NAME_OVER_HTTPS, '; Secure'] : [NAME_IN_CLEAR, '']
    const cookie = `Set-Cookie: ${name}=${this.#issue()}; Path=/; HttpOnly; SameSite=Strict${secure}\r\n`
    return `${cookie}Cache-Control: private="set-cookie"\r\n`
  }

  #issue(): string {
    const now = this.#deps.clock()
    if (Math.abs(now - this.#issued.at) >= SIGN_IN_ISSUED_MS) {
      const key = this.#deps.keys.current
      const expiry = (now + SIGN_IN_MS).toString(RADIX)
      this.#issued = { at: now, value: `${key.id}.${expiry}.${this.#mac(key, expiry)}` }
    }
    return this.#issued.value
  }

  /** Milliseconds for which the value lets in; 0 or less: not at all. */
  #timeLeft(value: string): number {
    const [, id = '', expiry = '', mac = ''] = VALUE.exec(value) ?? []
    const left = Number.parseInt(expiry, RADIX) - this.#deps.clock()
    // A bound of its own, should a clock of the deployment have been wrong.
    if (!(left > 0 && left <= 2 * SIGN_IN_MS)) return 0
    const key = keyById(this.#deps.keys, id)
    if (key === undefined) return 0
    return timingSafeEqual(Buffer.from(mac), Buffer.from(this.#mac(key, expiry))) ? left : 0
  }

  #mac(key: DeploymentKey, expiry: string): string {
    return createHmac('sha256', key.subkey('visitorCookie')).update(`${this.#subject}.${expiry}`).digest('base64url')
  }
}
