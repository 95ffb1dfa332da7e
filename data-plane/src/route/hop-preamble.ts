/** What one task says to another at the beginning of a hop stream, and what it is answered. Knows nothing of streams. */
import { parseSubdomain, type Subdomain } from '@postern/protocol/address'
import { NOTICE_KINDS } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { HOP_PREAMBLE_BYTES, NOTICE_CHARACTERS } from '@postern/protocol/limits'
import * as z from 'zod/mini'

/** The one byte that precedes what the local server sends. */
export const HOP_ANSWER = {
  /** The stream is a connection to the local server from now on, for as many requests as it takes. */
  taken: 1,
  /** The tunnel has rules, which are judged there: the stream carries this one request. */
  judged: 2,
  /** That channel is not here, or not any more. */
  stale: 3,
  /** It is, but this task stops. */
  draining: 4,
  /** This task does not know whether it still is. */
  fenced: 5,
} as const

export type HopAnswer = (typeof HOP_ANSWER)[keyof typeof HOP_ANSWER]

/** A name, as its grammar has it. */
export const hopName = z.custom<Subdomain>((value) => typeof value === 'string' && isName(value))

/** Whose words these are is proven by the channel; that they make sense, here. Unknown fields are a later version's. */
const preambleSchema = z.object({
  name: hopName,
  /** Of the claim of the channel that is meant. */
  epoch: z.int().check(z.nonnegative()),
  visitorAddress: z.string().check(z.maxLength(64)),
  requestId: z.string().check(z.maxLength(128)),
  /** Instead of a request: something for the person at the agent. */
  notice: z.optional(
    z.object({ about: z.enum(NOTICE_KINDS), detail: z.string().check(z.maxLength(NOTICE_CHARACTERS)) }),
  ),
})

export type HopPreamble = Readonly<z.output<typeof preambleSchema>>

const LENGTH_BYTES = 2

/** Two bytes of length, big endian, and JSON. */
export function writePreamble(preamble: HopPreamble): Buffer {
  const text = JSON.stringify(preamble)
  const bytes = Buffer.allocUnsafe(LENGTH_BYTES + Buffer.byteLength(text))
  bytes.writeUInt16BE(bytes.length - LENGTH_BYTES)
  bytes.write(text, LENGTH_BYTES)
  return bytes
}

/**
 * The preamble at the beginning of `bytes` and how many it takes; undefined while it is not whole.
 * @throws TunnelFault `protocol-violation`; its length is judged before more is waited for.
 */
export function readPreamble(bytes: Buffer): { preamble: HopPreamble; length: number } | undefined {
  if (bytes.length < LENGTH_BYTES) return undefined
  const end = LENGTH_BYTES + bytes.readUInt16BE()
  if (end > LENGTH_BYTES + HOP_PREAMBLE_BYTES)
    throw new TunnelFault('protocol-violation', `A preamble is longer than ${HOP_PREAMBLE_BYTES} bytes.`)
  if (bytes.length < end) return undefined
  const read = preambleSchema.safeParse(parsed(bytes.toString('utf8', LENGTH_BYTES, end)))
  if (!read.success) throw new TunnelFault('protocol-violation', 'A preamble is none.')
  return { preamble: read.data, length: end }
}

function isName(text: string): boolean {
  try {
    parseSubdomain(text)
    return true
  } catch {
    // Whatever rule it breaks, it is none.
    return false
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON: the schema refuses it.
    return undefined
  }
}
