/** Writes a response, given as HTTP/1.1, to one HTTP/2 stream: heads, body, trailers, and the end only when it is whole. Knows nothing of the request. */
import { constants, type ServerHttp2Stream } from 'node:http2'
import {
  type FieldLines,
  type Http2Fields,
  http2ResponseFields,
  http2Trailers,
  joinRepeated,
  MessageReader,
  type ResponseHead,
  ResponseHeadParser,
} from '@postern/protocol/http'
import { H2_EARLY_ANSWER_BYTES, H2_INTERIM_BYTES, RESPONSE_HEAD_ADDED } from '@postern/protocol/limits'
import { ByteQueue } from '@postern/protocol/socket'
import type { Subscribe } from '../../h2/contained-events.ts'
import { GatheredOutput } from '../../h2/gathered-output.ts'

const RESET_CONTENT = 205
/** What `node:http2` shows for a peer that has announced no limit. */
const NO_LIMIT = 2 ** 32 - 1
/** `:status` and its value, and the 32 of each field. */
const STATUS_BYTES = 42
/** From here on clients end an upload when they see the status. */
const MULTIPLE_CHOICES = 300

export class Http2ResponseWriter {
  /** Of the final response; 0 before. */
  status = 0
  /** Of the body. */
  bytes = 0
  /** Of interim heads, until the final one comes or, of many, a PING is answered: `node:http2` does not say when they have left. */
  interimBytes = 0
  readonly #stream: ServerHttp2Stream
  readonly #output: GatheredOutput
  readonly #reader: MessageReader<ResponseHead>
  readonly #taken: () => void
  readonly #uploads: () => boolean
  /** An early answer that is not whole yet. */
  #early: { readonly fields: Http2Fields; readonly body: ByteQueue } | undefined
  #trailers: Http2Fields | undefined
  #pinged = false

  /**
   * `on` subscribes to an event of `stream`. `uploads`: whether the visitor has more of its request to send. `taken` follows when all that was written has
   * left for the visitor.
   */
  constructor(
    stream: ServerHttp2Stream,
    method: string,
    on: Subscribe,
    { uploads, taken }: { uploads: () => boolean; taken: () => void },
  ) {
    this.#stream = stream
    this.#output = new GatheredOutput(stream, taken)
    this.#taken = taken
    this.#uploads = uploads
    const heads = new ResponseHeadParser(RESPONSE_HEAD_ADDED)
    heads.answer(method, false)
    this.#reader = new MessageReader(heads, 'response', {
      head: (head) => this.#begin(head),
      data: (piece) => {
        this.bytes += piece.length
        // A status that has no body here (205) may have had one where it came from, and the stream has ended.
        if (this.#early === undefined) this.#output.write(piece)
        else this.#early.body.append(piece)
      },
      end: (trailers) => this.#end(trailers),
    })
    // With trailers in prospect the stream's end waits for them. So a response that is cut ends by its reset, and never by END_STREAM.
    on('wantTrailers', () => {
      if (this.whole && !stream.closed) stream.sendTrailers(this.#trailers ?? {})
    })
  }

  get whole(): boolean {
    return this.#reader.done
  }

  /** Bytes of the body that have not left for the visitor. */
  get bodyWaiting(): number {
    return this.#output.length + (this.#early?.body.length ?? 0)
  }

  /**
   * Bytes that the visitor has yet to take before more is written. A few interim heads are none of these: a local server may think for long behind them. Nor
   * is an early answer, which has to become whole.
   */
  get waiting(): number {
    return this.#output.length + (this.interimBytes > H2_INTERIM_BYTES ? this.interimBytes : 0)
  }

  /** Bytes that have left. */
  get taken(): number {
    return this.bytes - this.bodyWaiting
  }

  /** @throws TunnelFault if it is no response */
  write(bytes: Buffer): void {
    if (!this.#stream.destroyed && !this.#stream.closed) this.#reader.read(bytes)
  }

  #begin(head: ResponseHead): boolean {
    const fields = http2ResponseFields(head)
    if (head.interim) {
      if (this.#fits(fields)) {
        sendable(fields, (safe) => this.#stream.additionalHeaders(safe))
        this.interimBytes += head.bytes
      }
      if (this.interimBytes > H2_INTERIM_BYTES) this.#ping()
      return true
    }
    this.status = head.status
    // RFC 9110 §15.3.6, which node:http2 sees to; a length must not be left to contradict it.
    if (head.status === RESET_CONTENT) delete fields['content-length']
    const endStream = head.framing === 'none' || (head.framing === 'length' && head.contentLength === 0)
    this.interimBytes = 0
    if (!endStream && this.#isEarly(head)) this.#early = { fields, body: new ByteQueue() }
    else this.#respond(fields, { endStream, waitForTrailers: !endStream })
    return false
  }

  /**
   * When such a status comes, clients end their upload short of its Content-Length, and nghttp2 resets the stream for that: what has not left by then is lost
   * (RFC 9113 §8.1.1). So an answer that is not long leaves in one piece.
   */
  #isEarly({ status, framing, contentLength }: ResponseHead): boolean {
    return (
      status >= MULTIPLE_CHOICES && framing === 'length' && contentLength <= H2_EARLY_ANSWER_BYTES && this.#uploads()
    )
  }

  #respond(fields: Http2Fields, options: { endStream: boolean; waitForTrailers: boolean }): void {
    // Also an answer of ours, where the visitor takes next to nothing.
    if (!this.#fits(fields)) {
      this.#output.abandon()
      return this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    }
    sendable(fields, (safe) => this.#stream.respond(safe, { ...options, sendDate: false } as object))
  }

  /** A larger header list would end the visitor's connection. */
  #fits(fields: Http2Fields): boolean {
    const most = this.#stream.session?.remoteSettings.maxHeaderListSize ?? NO_LIMIT
    return most >= NO_LIMIT || listBytes(fields) <= most
  }

  #endEarly({ fields, body }: { readonly fields: Http2Fields; readonly body: ByteQueue }): void {
    this.#early = undefined
    this.#respond(fields, { endStream: false, waitForTrailers: false })
    this.#output.write(body.take()!)
  }

  /** Asks the visitor for an answer to what it was sent, and again while more has been sent meanwhile. */
  #ping(): void {
    const { session } = this.#stream
    if (this.#pinged || session === undefined || session.destroyed) return
    const sent = this.interimBytes
    this.#pinged = session.ping((error) => {
      this.#pinged = false
      // The final head has come, or the session has ended.
      if (error !== null || this.status !== 0 || this.#stream.destroyed) return
      this.interimBytes -= sent
      if (this.interimBytes > H2_INTERIM_BYTES) this.#ping()
      else this.#taken()
    })
  }

  #end(trailers: FieldLines | undefined): void {
    if (this.#early !== undefined) this.#endEarly(this.#early)
    if (trailers !== undefined) {
      const fields = joinRepeated(http2Trailers(trailers))
      if (this.#fits(fields)) this.#trailers = fields
    }
    this.#output.end()
  }
}

/** As RFC 9113 §6.5.2 counts it. */
function listBytes(fields: Http2Fields): number {
  let bytes = STATUS_BYTES
  for (const [name, values] of Object.entries(fields))
    for (const value of [values].flat()) bytes += name.length + String(value).length + 32
  return bytes
}

/** node:http2 takes some fields only once. Which these are depends on its version: it says so. */
function sendable(fields: Http2Fields, send: (fields: Http2Fields) => void): void {
  try {
    send(fields)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error
    send(joinRepeated(fields))
  }
}
