/** The fields that tell the local server who visits: X-Forwarded-For, -Proto, -Host and Forwarded (RFC 7239). */
import { isIPv6 } from 'node:net'
import type { FieldLines } from './field-lines.ts'
import { FIELD } from './field-names.ts'

/** One per visitor connection: address and scheme stay, and Host nearly always does. */
export class ForwardedFields {
  /** Whether the peer is a hop of ours, whose own fields of this kind are kept and added to. */
  readonly trusted: boolean
  readonly #address: string
  readonly #proto: 'http' | 'https'
  readonly #node: string
  #host: string | undefined
  #lines = Buffer.alloc(0)

  /** `clientAddress` is an IP address without port. */
  constructor(clientAddress: string, proto: 'http' | 'https', trustVisitor = false) {
    this.trusted = trustVisitor
    this.#address = clientAddress
    this.#proto = proto
    // RFC 7239 §6: an IPv6 address stands in brackets, and the brackets in quotes.
    this.#node = isIPv6(clientAddress) ? `"[${clientAddress}]"` : clientAddress
  }

  /** Complete field lines for a request to `host`, whose own fields of this kind are dropped. */
  linesFor(host: string): Buffer {
    if (host !== this.#host) {
      this.#host = host
      this.#lines = Buffer.from(this.#format(this.#address, this.#proto, host, this.#element(host)), 'latin1')
    }
    return this.#lines
  }

  /** The same behind a trusted hop: what it says is kept, what it heard us say is added. */
  linesAfter(lines: FieldLines, host: string): string {
    return this.#format(
      append(lines.joined(FIELD.forwardedFor), this.#address),
      lines.joined(FIELD.forwardedProto) ?? this.#proto,
      lines.joined(FIELD.forwardedHost) ?? host,
      append(lines.joined(FIELD.forwarded), this.#element(host)),
    )
  }

  #element(host: string): string {
    const named = host === '' ? '' : `;host="${host}"`
    return `for=${this.#node};proto=${this.#proto}${named}`
  }

  #format(addresses: string, proto: string, host: string, forwarded: string): string {
    const hostLine = host === '' ? '' : `X-Forwarded-Host: ${host}\r\n`
    return `X-Forwarded-For: ${addresses}\r\nX-Forwarded-Proto: ${proto}\r\n${hostLine}Forwarded: ${forwarded}\r\n`
  }
}

function append(list: string | undefined, last: string): string {
  return list ? `${list}, ${last}` : last
}
