/**
 * One request to a local server that speaks HTTP/2, in the shape of a connection that speaks HTTP/1.1: what is written is a request of that
 * version, what it delivers is the response. Knows nothing of visitors.
 */
import { type ClientHttp2Stream, constants } from 'node:http2'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import {
  chunkOf,
  type FieldLines,
  type Http2Fields,
  http1LastChunk,
  http1ResponseHead,
  http2RequestFields,
  http2Trailers,
  joinRepeated,
  MessageReader,
  type RawFields,
  type RequestHead,
  RequestHeadParser,
} from '@postern/protocol/http'
import { HOP_HEAD_ADDED, LINGER_MS, STREAM_BACKLOG_BYTES } from '@postern/protocol/limits'
import type { ByteStream, StreamListener } from '@postern/protocol/mux'
import { containedEvents } from '../../h2/contained-events.ts'
import { EndOfMessage } from '../../h2/end-of-message.ts'
import { GatedInput } from '../../h2/gated-input.ts'
import { GatheredOutput } from '../../h2/gathered-output.ts'
import { requestSignsIn } from '../connection-sign-in.ts'

/** The session, as a request sees it. */
export interface H2StreamHost {
  /** @throws Error if the session takes no more */
  request(fields: Http2Fields, options: { endStream: boolean; waitForTrailers: boolean }): ClientHttp2Stream
  /** The fault of a stream that ended too early. `code` is that of its reset. */
  faultOf(stream: ClientHttp2Stream, error: unknown): TunnelFault
  /** The request is over, and its place free. */
  over(): void
  /** Monotonic milliseconds. */
  now(): number
}

const { NGHTTP2_CANCEL, NGHTTP2_FLAG_END_STREAM, NGHTTP2_INTERNAL_ERROR, NGHTTP2_PROTOCOL_ERROR } = constants

export class H2OriginStream implements ByteStream {
  readonly #host: H2StreamHost
  readonly #reader: MessageReader<RequestHead>
  #listener: StreamListener | undefined
  #stream: ClientHttp2Stream | undefined
  #input: GatedInput | undefined
  #output: GatheredOutput | undefined
  /** What was written last is more than waits in good order. */
  #full = false
  #method = ''
  #endOfResponse: EndOfMessage | undefined
  #trailersOut: Http2Fields = {}
  #trailersIn: RawFields = []
  /** The body comes without a length, and goes on in chunks. */
  #chunking = false
  #whole = false
  /** The final head has come. */
  #headed = false
  /** Bytes delivered and not yet consumed; the stream is paused while there are any. */
  #owed = 0
  /** Since when nothing of what it holds has moved; monotonic ms, meaningful while it holds something. */
  stalledSince = 0
  #over = false
  /** When it is reset, unless it is over before. */
  #endsBy = Infinity
  #error: unknown

  constructor(host: H2StreamHost) {
    this.#host = host
    this.#reader = new MessageReader(new RequestHeadParser(HOP_HEAD_ADDED), 'request', {
      head: (head) => this.#begin(head),
      data: (piece) => this.#output!.write(piece),
      end: (trailers) => this.#endRequest(trailers),
    })
  }

  /** Bytes that wait, for the visitor or for the local server. */
  get held(): number {
    return this.#over ? 0 : this.#owed + (this.#input?.length ?? 0) + (this.#output?.length ?? 0)
  }

  /** Memory is short: it ends, with all that it holds. */
  shed(): void {
    this.#refuse(new TunnelFault('stream-reset', 'it stalled while memory was short'), NGHTTP2_CANCEL)
    this.#stream?.destroy()
  }

  listen(listener: StreamListener): void {
    this.#listener = listener
  }

  /** Nobody asks for it any longer. What is left of it, END_STREAM or trailers behind a body of a given length, may come in LINGER_MS. */
  detach(): void {
    this.#listener = undefined
    this.#endsBy = this.#host.now() + LINGER_MS
  }

  /** A local server may send all of its response and never END_STREAM, which would keep the place of a request. RFC 9113 §8.1 sets no deadline. */
  sweep(): void {
    if (this.#endsBy <= this.#host.now()) this.reset()
  }

  write(chunk: Buffer): boolean {
    if (this.#over) return true
    try {
      this.#reader.read(chunk)
    } catch (error) {
      this.#failLater(toFault(error))
    }
    this.#full = !this.#over && this.#output !== undefined && this.#output.length >= STREAM_BACKLOG_BYTES
    return !this.#full
  }

  /** A request ends by its own framing, which has told so already. */
  end(): void {}

  reset(): void {
    this.#listener = undefined
    if (this.#over) return
    this.#finish()
    this.#stream?.close(NGHTTP2_CANCEL)
  }

  consume(bytes: number): void {
    this.#owed -= bytes
    if (this.#owed > 0) this.stalledSince = this.#host.now()
    this.#readOn()
  }

  // ── the request ───────────────────────────────────────────────────────────────────────────────────────────────────

  #begin(head: RequestHead): boolean {
    if (head.upgrade !== undefined) throw new TunnelFault('upgrade-unsupported')
    // Its connection carries requests of other visitors as well.
    if (requestSignsIn(head))
      throw new TunnelFault('connection-sign-in', 'The tunnel reaches its local server by HTTP/2.')
    this.#method = head.method
    const endStream = head.framing === 'none' || (head.framing === 'length' && head.contentLength === 0)
    const options = { endStream, waitForTrailers: head.framing === 'chunked' }
    const fields = http2RequestFields(head)
    let stream: ClientHttp2Stream
    try {
      stream = this.#host.request(fields, options)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_HTTP2_HEADER_SINGLE_VALUE') throw error
      stream = this.#host.request(joinRepeated(fields), options)
    }
    this.#stream = stream
    stream.on('error', (error) => {
      this.#error = error
    })
    const on = containedEvents(stream, (error) => this.#refuse(toFault(error), NGHTTP2_INTERNAL_ERROR))
    this.#input = new GatedInput({
      stream,
      on,
      data: (chunk) => this.#deliver(this.#chunking ? chunkOf(chunk, 0, chunk.length) : chunk),
      end: () => this.#endResponse(),
    })
    this.#endOfResponse = new EndOfMessage(stream, false)
    this.#output = new GatheredOutput(stream, () => this.#taken())
    on('wantTrailers', () => {
      if (this.#reader.done && !stream.closed) stream.sendTrailers(this.#trailersOut)
    })
    on('headers', (_fields: unknown, flags: number, raw?: RawFields) => this.#readHead(flags, raw ?? []))
    on('response', (_fields: unknown, flags: number, raw?: RawFields) => this.#readHead(flags, raw ?? []))
    on('trailers', (_fields: unknown, _flags: number, raw?: RawFields) => {
      this.#trailersIn = raw ?? []
    })
    on('close', () => this.#closed())
    return false
  }

  /** The local server has taken all that was written. */
  #taken(): void {
    if (!this.#full) return
    this.#full = false
    try {
      this.#listener?.writable()
    } catch (error) {
      this.#refuse(toFault(error), NGHTTP2_INTERNAL_ERROR)
    }
  }

  #endRequest(trailers: FieldLines | undefined): void {
    if (trailers !== undefined) this.#trailersOut = joinRepeated(http2Trailers(trailers))
    this.#output!.end()
  }

  // ── the response ──────────────────────────────────────────────────────────────────────────────────────────────────

  #readHead(flags: number, raw: RawFields): void {
    if (this.#over) return
    const ended = (flags & NGHTTP2_FLAG_END_STREAM) !== 0
    let head: Buffer
    try {
      head = http1ResponseHead(raw, { method: this.#method, ended })
    } catch (error) {
      return this.#refuse(toFault(error, 'origin-invalid'))
    }
    const interim = Number(raw[raw.indexOf(':status') + 1]) < 200
    this.#chunking = head.includes('\r\ntransfer-encoding: chunked\r\n')
    if (!interim) {
      this.#whole = ended
      this.#headed = true
    }
    this.#deliver(head)
    this.#readOn()
  }

  /** The events of heads come later than bytes that were received with them: the body flows once the final one is handed on. */
  #readOn(): void {
    if (this.#owed <= 0 && this.#headed) this.#input?.resume()
  }

  #endResponse(): void {
    if (this.#over || this.#whole || !this.#headed || this.#endOfResponse?.received !== true) return
    this.#whole = true
    if (!this.#chunking) return
    try {
      this.#deliver(http1LastChunk(this.#trailersIn, 'response'))
    } catch (error) {
      this.#whole = false
      this.#refuse(toFault(error, 'origin-invalid'))
    }
  }

  #deliver(bytes: Buffer): void {
    if (this.#over || this.#listener === undefined) return
    this.#owed += bytes.length
    this.#listener.data(bytes)
    if (this.#owed <= 0) return
    this.#input?.pause()
    this.stalledSince = this.#host.now()
  }

  // ── its end ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #refuse(fault: TunnelFault, code = NGHTTP2_PROTOCOL_ERROR): void {
    const over = this.#over
    this.#finish()
    this.#stream?.close(code)
    if (!over) this.#listener?.reset(fault)
  }

  /** Not within the call that wrote: whoever made it has yet to take hold of this stream. */
  #failLater(fault: TunnelFault): void {
    this.#finish()
    this.#stream?.close(NGHTTP2_CANCEL)
    process.nextTick(() => this.#listener?.reset(fault))
  }

  #closed(): void {
    if (this.#over) return
    this.#finish()
    if (this.#whole) this.#listener?.end()
    else this.#listener?.reset(this.#host.faultOf(this.#stream!, this.#error))
  }

  #finish(): void {
    if (this.#over) return
    this.#over = true
    this.#host.over()
  }
}
