/** The head and the body of one request on their way to the local server, and what of them may have to be sent again. */
import type { BodyBoundary, RequestHead } from '@postern/protocol/http'
import { REPLAY_BYTES } from '@postern/protocol/limits'
import type { ByteStream } from '@postern/protocol/mux'
import { ByteQueue } from '@postern/protocol/socket'

const NOTHING = Buffer.alloc(0)
/** Of a request without a body. */
const NO_BODY = new ByteQueue()

export class RequestBody {
  #head: Buffer
  readonly #boundary: BodyBoundary
  /** The body so far, while it may have to be sent again; undefined once it may not. */
  #kept: ByteQueue | undefined
  /** Bytes of the body that were sent. */
  sentBytes = 0

  /** `bytes`: the head as the local server shall see it. `boundary`: finds the end of the body. */
  constructor(head: RequestHead, bytes: Buffer, boundary: BodyBoundary) {
    this.#head = bytes
    this.#boundary = boundary
    this.#boundary.start(head.framing, head.contentLength)
  }

  /** The whole request has been sent. */
  get done(): boolean {
    return this.#boundary.done
  }

  /** Whether all that was sent could be sent again. */
  get repeatable(): boolean {
    return this.#kept !== undefined
  }

  /** Bytes of the body that are kept. */
  get keptBytes(): number {
    return this.#kept?.length ?? 0
  }

  /** Sends the head. `keep`: remember the body, up to REPLAY_BYTES. */
  begin(stream: ByteStream, keep: boolean): void {
    if (keep) this.#kept = this.#boundary.done ? NO_BODY : new ByteQueue()
    stream.write(this.#head)
  }

  /** What has come of the body, as far as it is kept; it is kept no longer. */
  takeKept(): readonly Buffer[] {
    const { held } = this.#boundary
    const pieces = this.#kept?.takePieces() ?? []
    return held.length === 0 ? pieces : [...pieces, held]
  }

  /** The index behind the last byte of [from, to) that belongs to this request. @throws TunnelFault `request-invalid` */
  measure(chunk: Buffer, from: number, to: number): number {
    return this.#boundary.advance(chunk, from, to)
  }

  /** Sends what was measured of the chunk, from `from` on. False: enough for now. `keepAll`: the stream takes little until its peer has answered, and all of it must be kept. */
  send(chunk: Buffer, from: number, stream: ByteStream, keepAll: boolean): boolean {
    const { passTo } = this.#boundary
    const room = passTo === from || this.#sendPiece(chunk.subarray(from, passTo), stream, keepAll)
    const tail = this.#boundary.takeTail()
    return tail === undefined ? room : this.#sendPiece(tail, stream, keepAll)
  }

  #sendPiece(piece: Buffer, stream: ByteStream, keepAll: boolean): boolean {
    this.sentBytes += piece.length
    if (this.#kept !== undefined) {
      if (keepAll || this.#kept.length + piece.length <= REPLAY_BYTES) this.#kept.append(piece)
      else this.#kept = undefined
    }
    return stream.write(piece)
  }

  /** Sends all of it once more; after that never again, unless `keep`. False: enough for now. */
  repeat(stream: ByteStream, keep: boolean): boolean {
    const kept = this.#kept?.takePieces() ?? []
    if (keep) this.#kept?.prepend(kept)
    else this.#kept = undefined
    let room = stream.write(this.#head)
    for (const piece of kept) room = stream.write(piece)
    return room
  }

  /** A byte of the response came: nothing will be sent again, and nothing is kept any longer. */
  forget(): void {
    this.#head = NOTHING
    this.#kept = undefined
  }
}
