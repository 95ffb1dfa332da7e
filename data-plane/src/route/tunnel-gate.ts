/** The rules of one tunnel, compiled once for its channel. Knows nothing of connections, and of no other tunnel. */
import { type Network, NetworkList, parseNetwork } from '@postern/protocol/address'
import type { VisitorRules } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { headerChanges, OriginMending, type PublicPlace, type RequestHead } from '@postern/protocol/http'
import { CredentialCheck, type CredentialCheckDeps } from './credential-check.ts'
import type { RequestChanges, ResponseChanges, Verdict, VisitorGate } from './visitor-gate.ts'

/** Undefined where there is nothing to judge and nothing to change. @param rules as their schema let them through */
export function tunnelGate(rules: VisitorRules, deps: CredentialCheckDeps): VisitorGate | undefined {
  return Object.values(rules).every((rule) => rule === undefined) ? undefined : new TunnelGate(rules, deps)
}

class TunnelGate implements VisitorGate {
  readonly request: RequestChanges
  readonly #response: ResponseChanges
  readonly #mending: OriginMending | undefined
  readonly #allowed: NetworkList | undefined
  readonly #denied: NetworkList | undefined
  readonly #credentials: CredentialCheck | undefined

  constructor(rules: VisitorRules, deps: CredentialCheckDeps) {
    const { allow, deny, basicAuth, requestHeaders, responseHeaders, host, via } = rules
    this.#allowed = allow && listOf(allow)
    this.#denied = deny && listOf(deny)
    this.#credentials = basicAuth && new CredentialCheck(basicAuth, deps)
    this.#mending = host === undefined ? undefined : new OriginMending(host)
    // What was for us goes no further: the local server has no use for the password, and its log would keep it.
    const spent = basicAuth ? ['authorization'] : []
    this.request = { host, via, ...changesOf(requestHeaders, spent) }
    this.#response = changesOf(responseHeaders, [])
  }

  judge(address: string, head: RequestHead): Verdict | Promise<Verdict> {
    // An address that nobody can read is denied by either list.
    const denied = this.#denied !== undefined && this.#denied.holds(address) !== false
    const missing = this.#allowed !== undefined && this.#allowed.holds(address) !== true
    if (denied || missing) return new TunnelFault('visitor-not-allowed', `It is ${address}.`)
    return this.#credentials?.judge(head.fieldValues('authorization'), address)
  }

  response(place: PublicPlace): ResponseChanges {
    const mending = this.#mending
    if (mending === undefined) return this.#response
    const mend = {
      location: (value: string) => mending.location(value, place),
      cookie: (value: string) => mending.cookie(value, place),
    }
    return { ...this.#response, mend }
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
