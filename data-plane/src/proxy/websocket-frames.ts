/** Follows the frames of one direction of a WebSocket by their headers (RFC 6455 §5.2), to know where one ends. Knows nothing of what they carry. */

/** Two bytes, a length of up to eight, a mask of four. */
const LONGEST_HEADER = 14
const CLOSE = 0x8

/** Close with status 1012, Service Restart (IANA's registry of close codes, after RFC 6455 §7.4), unmasked as a server sends it. */
export const SERVICE_RESTART = Buffer.from([0x80 | CLOSE, 2, 1012 >> 8, 1012 & 0xff])

export class WebSocketFrames {
  /** A Close frame has begun: nothing may follow it (RFC 6455 §5.5.1). */
  closed = false
  readonly #header = Buffer.alloc(LONGEST_HEADER)
  #headerLength = 0
  /** Bytes of the frame's payload that have not come yet. */
  #left = 0

  /** Whether what came so far ends with a frame. */
  get between(): boolean {
    return this.#headerLength === 0 && this.#left === 0
  }

  /** Takes [from, to); with `untilEnd` no further than the end of a frame. Answers the index behind what it took. */
  advance(chunk: Buffer, from: number, to: number, untilEnd = false): number {
    let at = from
    while (at < to) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, to - at)
        this.#left -= taken
        at += taken
      } else {
        this.#header[this.#headerLength++] = chunk[at++]!
        if (this.#headerLength === headerLength(this.#header, this.#headerLength)) this.#begin()
      }
      if (untilEnd && this.between) return at
    }
    return at
  }

  #begin(): void {
    if ((this.#header[0]! & 0x0f) === CLOSE) this.closed = true
    this.#left = payloadLength(this.#header)
    this.#headerLength = 0
  }
}

/** As far as `known` bytes tell it. */
function headerLength(header: Buffer, known: number): number {
  if (known < 2) return 2
  const second = header[1]!
  return 2 + lengthBytes(second & 0x7f) + (second & 0x80 ? 4 : 0)
}

const lengthBytes = (short: number): number => (short === 127 ? 8 : short === 126 ? 2 : 0)

/** A length beyond 2^53 loses its last bits: nobody lives to see the end of that frame. */
function payloadLength(header: Buffer): number {
  const short = header[1]! & 0x7f
  if (short === 126) return header.readUInt16BE(2)
  return short === 127 ? header.readUInt32BE(2) * 2 ** 32 + header.readUInt32BE(6) : short
}
