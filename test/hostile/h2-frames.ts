/** What frames of HTTP/2 are made of that no library would send (RFC 9113 §6). Knows nothing of sockets. */

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
}
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 }

export const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Indexed fields, and the names of literal ones that are not indexed (RFC 7541 §6, Appendix A). */
const FIELD = { get: 0x82, post: 0x83, schemeHttp: 0x86, rootPath: 0x84, authority: 0x01, method: 0x02, path: 0x04 }

/** A block of fields for a request to `host`. */
export function requestBlock(host: string, method: 'GET' | 'POST' | 'PUT' = 'GET', path = '/'): Buffer {
  const how =
    method === 'PUT'
      ? literal(Buffer.from([FIELD.method]), method)
      : Buffer.from([method === 'GET' ? FIELD.get : FIELD.post])
  const indexed = Buffer.concat([how, Buffer.from([FIELD.schemeHttp])])
  const where = path === '/' ? Buffer.from([FIELD.rootPath]) : literal(Buffer.from([FIELD.path]), path)
  return Buffer.concat([indexed, where, literal(Buffer.from([FIELD.authority]), host)])
}

/** A literal field with a name of its own, of up to 16 KiB. */
export const namedField = (name: string, value: string): Buffer =>
  literal(Buffer.concat([Buffer.from([0]), lengthOf(name), Buffer.from(name)]), value)

const literal = (name: Buffer, value: string): Buffer => Buffer.concat([name, lengthOf(value), Buffer.from(value)])

/** An integer of seven bits and what follows them (RFC 7541 §5.1). */
function lengthOf({ length }: string): Buffer {
  if (length < 127) return Buffer.from([length])
  const rest = length - 127
  return rest < 128 ? Buffer.from([127, rest]) : Buffer.from([127, (rest & 127) | 128, rest >> 7])
}

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly payload: Buffer
}

/** Frames out of bytes as they come. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0)

  read(bytes: Buffer): Frame[] {
    this.#rest = Buffer.concat([this.#rest, bytes])
    const frames: Frame[] = []
    for (;;) {
      const end = this.#rest.length < 9 ? Infinity : 9 + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) return frames
      frames.push({ type: this.#rest[3]!, flags: this.#rest[4]!, payload: this.#rest.subarray(9, end) })
      this.#rest = this.#rest.subarray(end)
    }
  }
}
