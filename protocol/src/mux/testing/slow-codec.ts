/** The obvious codec: whole input in, all frames out, one object each. The oracle of the fast one; no part of the product. */

export interface Frame {
  type: 'data' | 'windowUpdate' | 'ping' | 'goAway'
  flags: ('syn' | 'ack' | 'fin' | 'rst')[]
  id: number
  /** Window delta, ping value or GOAWAY code; the payload's length for data. */
  length: number
  payload: Buffer
}

const TYPES = ['data', 'windowUpdate', 'ping', 'goAway'] as const
const FLAGS = ['syn', 'ack', 'fin', 'rst'] as const

export function encode(frame: Partial<Frame> & Pick<Frame, 'type'>): Buffer {
  const payload = frame.type === 'data' && frame.payload !== undefined ? frame.payload : Buffer.alloc(0)
  const header = Buffer.alloc(12)
  header.writeUInt8(0, 0)
  header.writeUInt8(TYPES.indexOf(frame.type), 1)
  header.writeUInt16BE(
    (frame.flags ?? []).reduce((sum, flag) => sum + 2 ** FLAGS.indexOf(flag), 0),
    2,
  )
  header.writeUInt32BE(frame.id ?? 0, 4)
  header.writeUInt32BE(frame.type === 'data' ? payload.length : (frame.length ?? 0), 8)
  return Buffer.concat([header, payload])
}

/** Whole frames of the input, in order, and what is left behind them. */
export function decode(input: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = []
  let rest = input
  while (rest.length >= 12) {
    const type = TYPES[rest.readUInt8(1)]
    if (rest.readUInt8(0) !== 0 || type === undefined)
      throw new Error(`not a frame: ${rest.subarray(0, 12).toString('hex')}`)
    const bits = rest.readUInt16BE(2)
    const length = rest.readUInt32BE(8)
    const end = type === 'data' ? 12 + length : 12
    if (rest.length < end) break
    const flags = FLAGS.filter((_, bit) => bits & (2 ** bit))
    frames.push({ type, flags, id: rest.readUInt32BE(4), length, payload: Buffer.from(rest.subarray(12, end)) })
    rest = rest.subarray(end)
  }
  return { frames, rest }
}
