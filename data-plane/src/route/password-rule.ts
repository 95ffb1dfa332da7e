/** How a request passes a tunnel with passwords: by a password, by the cookie of an earlier one, or by an exemption. */
import type { VisitorRules } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import type { RequestHead } from '@postern/protocol/http'
import { basicCredentials } from './basic-credentials.ts'
import { CredentialCheck, type CredentialCheckDeps, type Refusal } from './credential-check.ts'
import { PasswordExemptions } from './password-exemptions.ts'
import type { SignInCookie } from './sign-in-cookie.ts'

export type Passage =
  /** Its Authorization, if it has any, is not for us. */
  | 'unchanged'
  /** Its Authorization was the tunnel's password, or may hold it. */
  | 'spent'
  /** The same, and its visitor is to get a cookie. */
  | 'signed-in'

export class PasswordRule {
  readonly #credentials: CredentialCheck
  readonly #exemptions: PasswordExemptions
  readonly #cookie: SignInCookie

  constructor(
    tunnel: string,
    rule: NonNullable<VisitorRules['basicAuth']>,
    cookie: SignInCookie,
    deps: CredentialCheckDeps,
  ) {
    this.#credentials = new CredentialCheck(tunnel, rule, deps)
    this.#exemptions = new PasswordExemptions(rule)
    this.#cookie = cookie
  }

  judge(address: string, head: RequestHead): TunnelFault | Passage | Promise<TunnelFault | Passage> {
    const values = head.fieldValues('authorization')
    // RFC 9110 §11.6.2: one credential. Of two, each server takes another.
    if (values.length > 1) return new TunnelFault('visitor-unauthorised')
    const state = this.#cookie.state(head)
    const free = state !== 'none' || this.#exemptions.hold(head)
    const credentials = values.length === 0 ? 'none' : basicCredentials(values[0]!)
    if (!(credentials instanceof Buffer)) {
      if (!free) return new TunnelFault('visitor-unauthorised')
      // A spelling that cannot be checked may hold the password, so the value does not go on.
      return credentials === 'none' ? 'unchanged' : 'spent'
    }
    const passage = (refusal: Refusal): TunnelFault | Passage => {
      if (refusal === undefined) return state === 'fresh' ? 'spent' : 'signed-in'
      // Basic authentication of the local server's own.
      return free && refusal.code === 'visitor-unauthorised' ? 'unchanged' : refusal
    }
    const refusal = this.#credentials.judge(credentials, address)
    return refusal instanceof Promise ? refusal.then(passage) : passage(refusal)
  }
}
