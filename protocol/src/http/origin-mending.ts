/**
 * Turns what a local server says about itself into what visitors know it as, where it was told another Host than the visitor's.
 * Knows the two names; knows nothing of heads.
 */

import { withoutDefaultPort } from './authority.ts'

export interface PublicPlace {
  readonly scheme: 'http' | 'https'
  /** Lower-case authority by which the visitor came, port included. */
  readonly authority: string
}

/** `scheme://authority` or `//authority`, and what follows. Backslashes are left to browsers, which read them as slashes: not mended. */
const ABSOLUTE = /^(?:(https?):)?\/\/([^/?#\\@]*)(?:[/?#]|$)/i
const DOMAIN = /(;[ \t]*domain[ \t]*=)([^;]*)/gi

const withoutPort = (authority: string): string => authority.replace(/:\d*$/, '')

export class OriginMending {
  readonly #authority: string
  readonly #hostname: string

  /** `told`: what the local server gets as Host. */
  constructor(told: string) {
    this.#authority = told.toLowerCase()
    this.#hostname = withoutPort(this.#authority)
  }

  /** A Location (RFC 9110 §10.2.2): one that leads to the local server leads to where the visitor came from; any other is left alone. */
  location(value: string, to: PublicPlace): string {
    const [, scheme, authority] = ABSOLUTE.exec(value) ?? []
    if (authority === undefined || !this.#isTold(authority, scheme)) return value
    const rest = value.slice((scheme === undefined ? '//' : `${scheme}://`).length + authority.length)
    return `${scheme === undefined ? '' : `${to.scheme}:`}//${to.authority}${rest}`
  }

  /**
   * A Set-Cookie (RFC 6265 §5.2.3): a Domain that holds the local server's name becomes the visitor's name for it, which is also where
   * a Domain above both ends, because that is all the tunnel has.
   */
  cookie(value: string, to: PublicPlace): string {
    return value.replaceAll(DOMAIN, (whole, attribute: string, text: string) => {
      const domain = text.trim().replace(/^\./, '').toLowerCase()
      const holds = domain !== '' && (domain === this.#hostname || this.#hostname.endsWith(`.${domain}`))
      return holds ? `${attribute}${withoutPort(to.authority)}` : whole
    })
  }

  #isTold(authority: string, scheme: string | undefined): boolean {
    const implied = scheme?.toLowerCase() === 'https' ? 'https' : 'http'
    return withoutDefaultPort(authority.toLowerCase(), implied) === withoutDefaultPort(this.#authority, implied)
  }
}
