/** Keeps one tunnel's cookies away from the others (RFC 6265 §5.3). Knows the base domain and the value of Set-Cookie alone. */
import { trimmed } from './trimmed.ts'

/** Every Domain attribute: a browser takes the last, here any is judged. */
const DOMAINS = /;[ \t]*domain[ \t]*=([^;]*)/gi
/** What a browser might map to another name (IDNA, percent-encoding) is judged as if it did. */
const UNUSUAL = /[^0-9A-Za-z.-]/

export class CookieFence {
  readonly #base: string
  #dropped = 0

  constructor(baseDomain: string) {
    this.#base = baseDomain.toLowerCase()
  }

  /** How many Set-Cookie fields were dropped. */
  get dropped(): number {
    return this.#dropped
  }

  /** Whether the cookie stays within its tunnel; counts it if not. */
  admits(setCookie: string): boolean {
    for (const [, attribute = ''] of setCookie.matchAll(DOMAINS)) {
      const domain = bare(attribute).toLowerCase()
      if (domain === '') continue
      if (UNUSUAL.test(domain) || this.#base === domain || this.#base.endsWith(`.${domain}`)) {
        this.#dropped++
        return false
      }
    }
    return true
  }
}

/** The value without the blanks and quotes around it, and without one dot at each end. */
function bare(value: string): string {
  return trimmed(value, ' \t"').replace(/^\./, '').replace(/\.$/, '')
}
