/** The options of Connection fields (RFC 9110 §7.6.1): three that are acted on, and names of further hop-by-hop fields. */
import { SP, TOKEN } from './character-tables.ts'
import type { FieldLines } from './field-lines.ts'
import { FIELD, spells } from './field-names.ts'
import { refuse, type Side } from './rules.ts'

export const OPTION_CLOSE = 1
export const OPTION_KEEP_ALIVE = 2
export const OPTION_UPGRADE = 4
/** Some option is none of the three: it may name a field. */
export const OPTION_NAMES = 8

const CLOSE = Buffer.from('close')
const KEEP_ALIVE = Buffer.from('keep-alive')
const UPGRADE = Buffer.from('upgrade')
const COMMA = 0x2c

/** The options of all Connection lines as bits. @throws TunnelFault `connection-syntax` */
export function connectionOptions(lines: FieldLines, side: Side): number {
  if (!lines.has(FIELD.connection)) return 0
  const { buffer } = lines
  let options = 0
  for (let i = 0; i < lines.count; i++) {
    if (lines.id(i) !== FIELD.connection) continue
    lines.judged = i
    if (lines.endsInTab(i)) refuse(side, 'connection-syntax')
    const end = lines.valueEnd(i)
    for (let at = skipSeparators(buffer, lines.valueStart(i), end); at < end; ) {
      const optionEnd = endOfOption(buffer, at, end, side)
      options |= optionBit(buffer, at, optionEnd)
      at = skipSeparators(buffer, optionEnd, end)
    }
  }
  lines.judged = -1
  return options
}

/** The lower-case names that Connection lists beside the options of its own. */
export function connectionNames(lines: FieldLines): ReadonlySet<string> {
  const names = lines.joined(FIELD.connection)?.toLowerCase().split(',') ?? []
  return new Set(names.map((name) => name.trim()))
}

/** Empty elements of a list count for nothing (RFC 9110 §5.6.1.2). Tabs would be white space too, but servers differ on them. */
function skipSeparators(buffer: Buffer, at: number, end: number): number {
  while (at < end && (buffer[at] === COMMA || buffer[at] === SP)) at++
  return at
}

function endOfOption(buffer: Buffer, start: number, end: number, side: Side): number {
  let at = start
  while (at < end && TOKEN[buffer[at]!] !== 0) at++
  const optionEnd = at
  while (at < end && buffer[at] === SP) at++
  if (optionEnd === start || (at < end && buffer[at] !== COMMA)) refuse(side, 'connection-syntax')
  return optionEnd
}

function optionBit(buffer: Buffer, start: number, end: number): number {
  switch (end - start) {
    case CLOSE.length:
      return spells(buffer, start, CLOSE) ? OPTION_CLOSE : OPTION_NAMES
    case KEEP_ALIVE.length:
      return spells(buffer, start, KEEP_ALIVE) ? OPTION_KEEP_ALIVE : OPTION_NAMES
    case UPGRADE.length:
      return spells(buffer, start, UPGRADE) ? OPTION_UPGRADE : OPTION_NAMES
    default:
      return OPTION_NAMES
  }
}
