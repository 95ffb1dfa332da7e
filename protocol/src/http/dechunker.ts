/** Takes the chunked coding off a response body, for visitors that speak HTTP/1.0 (RFC 9112 §7.1.3). Trailers are dropped. */
import { ChunkedScan, type DataSpan } from './chunked-scan.ts'

export class Dechunker {
  readonly #scan: ChunkedScan

  /** `data` gets the spans of body bytes, synchronously, within `advance`. */
  constructor(data: DataSpan) {
    this.#scan = new ChunkedScan('response', data)
  }

  start(): void {
    this.#scan.start()
  }

  /** Index after the last byte of the coded body within [from, to), or `to` if it goes on. @throws TunnelFault origin-invalid */
  advance(buffer: Buffer, from: number, to: number): number {
    return this.#scan.advance(buffer, from, to)
  }

  get done(): boolean {
    return this.#scan.done
  }
}
