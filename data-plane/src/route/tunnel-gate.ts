/** The rules of one tunnel, compiled once for its channel. Knows nothing of connections, and of no other tunnel. */
import { type Network, NetworkList, parseNetwork } from '@postern/protocol/address'
import type { VisitorRules } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { headerChanges, OriginMending, type PublicPlace, type RequestHead } from '@postern/protocol/http'
import type { CredentialCheckDeps } from './credential-check.ts'
import { type Passage, PasswordRule } from './password-rule.ts'
import { SIGN_IN_COOKIES, SignInCookie, type SignInCookieDeps } from './sign-in-cookie.ts'
import type { Admission, RequestChanges, ResponseChanges, Verdict, VisitorGate } from './visitor-gate.ts'

export type TunnelGateDeps = CredentialCheckDeps & SignInCookieDeps

/** Undefined where there is nothing to judge and nothing to change. @param rules of the tunnel `name`, as their schema let them through */
export function tunnelGate(name: string, rules: VisitorRules, deps: TunnelGateDeps): VisitorGate | undefined {
  return Object.values(rules).every((rule) => rule === undefined) ? undefined : new TunnelGate(name, rules, deps)
}

class TunnelGate implements VisitorGate {
  readonly #allowed: NetworkList | undefined
  readonly #denied: NetworkList | undefined
  readonly #passwords: PasswordRule | undefined
  readonly #admissions: Readonly<Record<Passage, Admission>>

  constructor(name: string, rules: VisitorRules, deps: TunnelGateDeps) {
    const { allow, deny, basicAuth, requestHeaders, responseHeaders, host, via } = rules
    this.#allowed = allow && listOf(allow)
    this.#denied = deny && listOf(deny)
    const cookie = basicAuth && new SignInCookie(name, basicAuth, deps)
    this.#passwords = basicAuth && new PasswordRule(name, basicAuth, cookie!, deps)
    const withoutCookies = basicAuth && SIGN_IN_COOKIES
    // What was for us goes no further: the local server has no use for the password, and its log would keep it.
    const changed = (spent: readonly string[]): RequestChanges => {
      return { host, via, withoutCookies, ...changesOf(requestHeaders, spent) }
    }
    const responses = responsesOf(changesOf(responseHeaders, []), host)
    const [unchanged, spent] = [changed([]), changed(['authorization'])]
    this.#admissions = {
      unchanged: { request: unchanged, response: responses },
      spent: { request: spent, response: responses },
      'signed-in': {
        request: spent,
        response: (place) => {
          const changes = responses(place)
          return { ...changes, extraLines: `${changes.extraLines ?? ''}${cookie?.linesFor(place) ?? ''}` }
        },
      },
    }
  }

  judge(address: string, head: RequestHead): Verdict | Promise<Verdict> {
    // An address that nobody can read is denied by either list.
    const denied = this.#denied !== undefined && this.#denied.holds(address) !== false
    const missing = this.#allowed !== undefined && this.#allowed.holds(address) !== true
    if (denied || missing) return new TunnelFault('visitor-not-allowed', `It is ${address}.`)
    const judged = this.#passwords?.judge(address, head) ?? 'unchanged'
    const admission = (passage: TunnelFault | Passage): Verdict =>
      passage instanceof TunnelFault ? passage : this.#admissions[passage]
    return judged instanceof Promise ? judged.then(admission) : admission(judged)
  }
}

function responsesOf(changes: ResponseChanges, host: string | undefined): (place: PublicPlace) => ResponseChanges {
  if (host === undefined) return () => changes
  const mending = new OriginMending(host)
  return (place) => {
    const mend = {
      location: (value: string) => mending.location(value, place),
      cookie: (value: string) => mending.cookie(value, place),
    }
    return { ...changes, mend }
  }
}

/** The schema has read each of them already; one that it let through and that is none must not be left out in silence. */
function listOf(texts: readonly string[]): NetworkList {
  const networks = texts.map(parseNetwork)
  if (networks.includes(undefined)) throw new TunnelFault('hello-invalid', 'A network of the rules cannot be read.')
  return new NetworkList(networks as Network[])
}

function changesOf(changes: VisitorRules['requestHeaders'], alsoRemoved: readonly string[]): ResponseChanges {
  const { removed, addedLines } = headerChanges(changes?.add ?? [], [...alsoRemoved, ...(changes?.remove ?? [])])
  return { removed: removed.size === 0 ? undefined : removed, extraLines: addedLines }
}
