/** Reads one HTTP/1.1 message to its end: its heads, its body without the framing, its trailers. Knows nothing of what becomes of them. */
import { ChunkedScan } from './chunked-scan.ts'
import { FieldLines } from './field-lines.ts'
import { HeadCarry } from './head-carry.ts'
import type { MessageHead } from './message-head.ts'
import type { Side } from './rules.ts'

/** Called synchronously within `read`. */
export interface MessageEvents<Head> {
  /** The head is good for this call. True: it is an interim one, and another follows. */
  head(head: Head): boolean
  /** A piece of the body. */
  data(piece: Buffer): void
  /** The message is whole; `trailers` hold for this call, undefined where there are none. */
  end(trailers: FieldLines | undefined): void
}

interface Parser<Head> {
  parse(buffer: Buffer, from: number, to: number): Head | undefined
  release(): void
}

type State = 'head' | 'length' | 'chunked' | 'close' | 'done'

export class MessageReader<Head extends MessageHead> {
  readonly #parser: Parser<Head>
  readonly #side: Side
  readonly #events: MessageEvents<Head>
  #state: State = 'head'
  #left = 0
  #carry: HeadCarry | undefined
  #scan: ChunkedScan | undefined

  constructor(parser: Parser<Head>, side: Side, events: MessageEvents<Head>) {
    this.#parser = parser
    this.#side = side
    this.#events = events
  }

  /** The whole message was read. */
  get done(): boolean {
    return this.#state === 'done'
  }

  /** Takes the next bytes; what follows the message is dropped. @throws TunnelFault */
  read(chunk: Buffer): void {
    if (this.#state === 'head') return this.#readHead(chunk)
    this.#readBody(chunk, 0)
  }

  #readHead(chunk: Buffer): void {
    let buffer = chunk
    let from = 0
    if (this.#carry !== undefined) {
      this.#carry.append(chunk, 0, chunk.length)
      buffer = this.#carry.buffer.subarray(0, this.#carry.length)
    }
    while (this.#state === 'head') {
      const head = this.#parser.parse(buffer, from, buffer.length)
      if (head === undefined) return this.#keep(buffer, from)
      from += head.bytes
      const { framing, contentLength } = head
      if (this.#events.head(head)) continue
      this.#carry = undefined
      this.#parser.release()
      this.#begin(framing, contentLength)
    }
    this.#readBody(buffer, from)
  }

  #keep(buffer: Buffer, from: number): void {
    if (this.#carry !== undefined && from === 0) return
    this.#carry = new HeadCarry()
    this.#carry.append(buffer, from, buffer.length)
  }

  #begin(framing: MessageHead['framing'], contentLength: number): void {
    if (framing === 'none' || (framing === 'length' && contentLength === 0)) return this.#end(undefined)
    this.#state = framing
    this.#left = contentLength
    if (framing !== 'chunked') return
    this.#scan = new ChunkedScan(this.#side, (buffer, from, to) => this.#data(buffer, from, to))
    this.#scan.start()
  }

  #readBody(buffer: Buffer, from: number): void {
    switch (this.#state) {
      case 'length': {
        const to = Math.min(buffer.length, from + this.#left)
        this.#left -= to - from
        this.#data(buffer, from, to)
        if (this.#left === 0) this.#end(undefined)
        return
      }
      case 'chunked':
        this.#scan!.advance(buffer, from, buffer.length)
        if (this.#scan!.done) this.#end(this.#readTrailers())
        return
      case 'close':
        this.#data(buffer, from, buffer.length)
    }
  }

  #data(buffer: Buffer, from: number, to: number): void {
    if (to > from) this.#events.data(buffer.subarray(from, to))
  }

  /** The scan has judged every line of them, and left out those that may not stand there. */
  #readTrailers(): FieldLines | undefined {
    const section = this.#scan!.trailers
    const lines = new FieldLines()
    lines.buffer = section
    lines.scan(section, 0, section.length, this.#side)
    return lines.count === 0 ? undefined : lines
  }

  #end(trailers: FieldLines | undefined): void {
    this.#state = 'done'
    this.#events.end(trailers)
  }
}
