/** One request on its way to the local server: the head, then the body as it comes, and what may have to be sent again. Knows nothing of the response. */
import type { BodyBoundary, RequestHead } from '@postern/protocol/http'
import { REPLAY_BYTES } from '@postern/protocol/limits'
import type { ByteStream } from '@postern/protocol/mux'

const NOTHING = Buffer.alloc(0)
const NO_PIECES: Buffer[] = []

export class RequestSender {
  #head: Buffer
  readonly #body: BodyBoundary
  /** The body so far, while it may have to be sent again; undefined once it may not. */
  #kept: Buffer[] | undefined
  #keptBytes = 0
  /** Of the body. */
  sentBytes = 0

  /** `bytes`: the head as the local server shall see it. `body`: what finds the body's end. */
  constructor(head: RequestHead, bytes: Buffer, body: BodyBoundary) {
    this.#head = bytes
    this.#body = body
    this.#body.start(head.framing, head.contentLength)
  }

  /** The whole request has been sent. */
  get done(): boolean {
    return this.#body.done
  }

  /** Whether all that was sent could be sent again. */
  get repeatable(): boolean {
    return this.#kept !== undefined
  }

  /** `keep`: remember the body, up to REPLAY_BYTES. */
  begin(stream: ByteStream, keep: boolean): void {
    if (keep) this.#kept = this.#body.done ? NO_PIECES : []
    stream.write(this.#head)
  }

  /** What has come of the body, as far as it is kept. */
  get kept(): readonly Buffer[] {
    const { held } = this.#body
    return held.length === 0 ? (this.#kept ?? NO_PIECES) : [...(this.#kept ?? NO_PIECES), held]
  }

  /** The index behind the last byte of [from, to) that belongs to this request. @throws TunnelFault `request-invalid` */
  measure(chunk: Buffer, from: number, to: number): number {
    return this.#body.advance(chunk, from, to)
  }

  /** Sends what was measured of the chunk, from `from` on. False: enough for now. `keepAll`: the stream takes little, and until then all must be remembered. */
  send(chunk: Buffer, from: number, stream: ByteStream, keepAll: boolean): boolean {
    const { passTo } = this.#body
    const room = passTo === from || this.#sendPiece(chunk.subarray(from, passTo), stream, keepAll)
    const tail = this.#body.takeTail()
    return tail === undefined ? room : this.#sendPiece(tail, stream, keepAll)
  }

  #sendPiece(piece: Buffer, stream: ByteStream, keepAll: boolean): boolean {
    this.sentBytes += piece.length
    if (this.#kept !== undefined) {
      this.#keptBytes += piece.length
      if (keepAll || this.#keptBytes <= REPLAY_BYTES) this.#kept.push(piece)
      else this.#kept = undefined
    }
    return stream.write(piece)
  }

  /** Sends all of it once more; after that, never again, unless it is to `keep`. False: enough for now. */
  repeat(stream: ByteStream, keep: boolean): boolean {
    const kept = this.#kept ?? []
    if (!keep) this.#kept = undefined
    let room = stream.write(this.#head)
    for (const piece of kept) room = stream.write(piece)
    return room
  }

  /** A byte of the response came: nothing will be sent again, and nothing of it is held any longer. */
  forget(): void {
    this.#head = NOTHING
    this.#kept = undefined
  }
}
