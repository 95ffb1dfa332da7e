/** The fields that tell the local server who visits: X-Forwarded-For, -Proto and -Host. */

/** One per visitor of a connection: address and scheme stay, and Host nearly always does. */
export class ForwardedFields {
  /** Written in place of the request's own host, if given: with the port that a trusted proxy reports. */
  readonly host: string | undefined
  readonly #address: string
  readonly #proto: 'http' | 'https'
  #written: string | undefined
  #lines = Buffer.alloc(0)

  /** `clientAddress` is an IP address without port. */
  constructor(clientAddress: string, proto: 'http' | 'https', host?: string) {
    this.host = host
    this.#address = clientAddress
    this.#proto = proto
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
    const hostLine = host === '' ? '' : `X-Forwarded-Host: ${host}\r\n`
    return `X-Forwarded-For: ${this.#address}\r\nX-Forwarded-Proto: ${this.#proto}\r\n${hostLine}`
  }
}
