/** The twelve bytes before every payload, as the yamux specification lays them out. Knows nothing of streams or state. */

/** version (1) · type (1) · flags (2) · stream id (4) · length (4), all big-endian. */
export const HEADER_BYTES = 12
export const VERSION = 0

export const FrameType = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export type FrameType = (typeof FrameType)[keyof typeof FrameType]

/** SYN opens a stream, ACK accepts it, FIN ends the sender's half, RST abandons both. */
export const Flag = { syn: 1, ack: 2, fin: 4, rst: 8 } as const
export const ALL_FLAGS = 15

/** Why a side opens and accepts nothing further ("Go Away" in the specification). */
export const GoAwayCode = { normal: 0, protocolError: 1, internalError: 2 } as const

/** Writes one header at `at` and returns the offset behind it. Twelve stores: this runs once per frame of every request. */
export function writeHeader(
  target: Buffer,
  at: number,
  type: number,
  flags: number,
  id: number,
  length: number,
): number {
  target[at] = VERSION
  target[at + 1] = type
  target[at + 2] = flags >>> 8
  target[at + 3] = flags
  target[at + 4] = id >>> 24
  target[at + 5] = id >>> 16
  target[at + 6] = id >>> 8
  target[at + 7] = id
  target[at + 8] = length >>> 24
  target[at + 9] = length >>> 16
  target[at + 10] = length >>> 8
  target[at + 11] = length
  return at + HEADER_BYTES
}
