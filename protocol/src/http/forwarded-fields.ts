/** The fields that tell the local server who visits: X-Forwarded-For, -Proto and -Host. */
import type { FieldLines } from './field-lines.ts'
import { FIELD } from './field-names.ts'

/** One per visitor connection: address and scheme stay, and Host nearly always does. */
export class ForwardedFields {
  /** Whether the peer is a hop of ours, whose own fields of this kind are kept and added to. */
  readonly trusted: boolean
  readonly #address: string
  readonly #proto: 'http' | 'https'
  #host: string | undefined
  #lines = Buffer.alloc(0)

  /** `clientAddress` is an IP address without port. */
  constructor(clientAddress: string, proto: 'http' | 'https', trustVisitor = false) {
    this.trusted = trustVisitor
    this.#address = clientAddress
    this.#proto = proto
  }

  /** Complete field lines for a request to `host`, whose own fields of this kind are dropped. */
  linesFor(host: string): Buffer {
    if (host !== this.#host) {
      this.#host = host
      this.#lines = Buffer.from(format(this.#address, this.#proto, host), 'latin1')
    }
    return this.#lines
  }

  /** The same behind a trusted peer: its fields are kept, and its own address is added. */
  linesAfter(lines: FieldLines, host: string): string {
    const before = lines.joined(FIELD.forwardedFor)
    return format(
      before ? `${before}, ${this.#address}` : this.#address,
      lines.joined(FIELD.forwardedProto) ?? this.#proto,
      lines.joined(FIELD.forwardedHost) ?? host,
    )
  }
}

function format(addresses: string, proto: string, host: string): string {
  const hostLine = host === '' ? '' : `X-Forwarded-Host: ${host}\r\n`
  return `X-Forwarded-For: ${addresses}\r\nX-Forwarded-Proto: ${proto}\r\n${hostLine}`
}
