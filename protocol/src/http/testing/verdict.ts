/** For tests: what a parser says of some bytes, as a plain value, fed whole or in pieces. */
import { TunnelFault } from '../../fault.ts'
import type { MessageHead } from '../message-head.ts'
import { ruleOf } from '../rules.ts'

interface Parser<Head extends MessageHead> {
  parse(buffer: Buffer, from: number, to: number): Head | undefined
}

/** The rule that refused it, `incomplete`, or what `read` makes of the head. */
export function verdictOf<Head extends MessageHead, Value>(
  parser: Parser<Head>,
  message: Buffer,
  read: (head: Head) => Value,
  /** Bytes that each call is given beyond the last one. */
  step = Math.max(1, message.length),
): Value | string {
  // In front of the message stands what must not be looked at.
  const from = 3
  const buffer = Buffer.concat([Buffer.from('\r\n\0'), message])
  try {
    for (let to = from; to < buffer.length; ) {
      to = Math.min(buffer.length, to + step)
      const head = parser.parse(buffer, from, to)
      if (head !== undefined) return read(head)
    }
    return 'incomplete'
  } catch (error) {
    if (!(error instanceof TunnelFault)) throw error
    return ruleOf(error) ?? error.message
  }
}
