/** The fields that tell the local server who visits: X-Forwarded-For, -Proto, -Host and Forwarded (RFC 7239). */
import { isIPv6 } from 'node:net'

/** One per visitor of a connection: address and scheme stay, and Host nearly always does. */
export class ForwardedFields {
  /** Written in place of the request's own host, if given: with the port that a trusted proxy reports. */
  readonly host: string | undefined
  readonly #address: string
  readonly #proto: 'http' | 'https'
  readonly #node: string
  #written: string | undefined
  #lines = Buffer.alloc(0)

  /** `clientAddress` is an IP address without port. */
  constructor(clientAddress: string, proto: 'http' | 'https', host?: string) {
    this.host = host
    this.#address = clientAddress
    this.#proto = proto
    // RFC 7239 §6: an IPv6 address stands in brackets, and the brackets in quotes.
    this.#node = isIPv6(clientAddress) ? `"[${clientAddress}]"` : clientAddress
  }

  /** Complete field lines for a request to `host`, whose own fields of this kind are dropped. */
  linesFor(host: string): Buffer {
    if (host !== this.#written) {
      this.#written = host
      this.#lines = Buffer.from(this.#format(this.host ?? host), 'latin1')
    }
    return this.#lines
  }

  #format(host: string): string {
    const [hostLine, named] = host === '' ? ['', ''] : [`X-Forwarded-Host: ${host}\r\n`, `;host="${host}"`]
    const forwarded = `for=${this.#node};proto=${this.#proto}${named}`
    return `X-Forwarded-For: ${this.#address}\r\nX-Forwarded-Proto: ${this.#proto}\r\n${hostLine}Forwarded: ${forwarded}\r\n`
  }
}
