/** The options of Connection fields (RFC 9110 §7.6.1): three that are acted on, and names of further hop-by-hop fields. */
import { HTAB, SP, TOKEN } from './character-tables.ts'
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
const NO_OPTION = -1

/**
 * The options of all Connection lines as bits. What is no option in a response counts as close: after that nothing can be taken for another response.
 * @throws TunnelFault `connection-syntax` for a request
 */
export function connectionOptions(lines: FieldLines, side: Side): number {
  if (!lines.has(FIELD.connection)) return 0
  const { buffer } = lines
  let options = 0
  for (let i = 0; i < lines.count; i++) {
    if (lines.id(i) !== FIELD.connection) continue
    lines.judged = i
    if (side === 'request' && lines.endsInTab(i)) refuse(side, 'connection-syntax')
    const end = lines.valueEnd(i)
    for (let at = skipSeparators(buffer, lines.valueStart(i), end, side); at < end; ) {
      const optionEnd = endOfOption(buffer, at, end, side)
      if (optionEnd === NO_OPTION) {
        options |= OPTION_CLOSE
        at = endOfElement(buffer, at, end)
      } else {
        options |= optionBit(buffer, at, optionEnd)
        at = optionEnd
      }
      at = skipSeparators(buffer, at, end, side)
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

/** Empty elements of a list count for nothing (RFC 9110 §5.6.1.2). Tabs are white space too, but servers differ on those of a request. */
function skipSeparators(buffer: Buffer, at: number, end: number, side: Side): number {
  while (at < end && (buffer[at] === COMMA || isBlank(buffer[at], side))) at++
  return at
}

const isBlank = (byte: number | undefined, side: Side): boolean => byte === SP || (byte === HTAB && side === 'response')

function endOfElement(buffer: Buffer, from: number, end: number): number {
  let at = from
  while (at < end && buffer[at] !== COMMA) at++
  return at
}

function endOfOption(buffer: Buffer, start: number, end: number, side: Side): number {
  let at = start
  while (at < end && TOKEN[buffer[at]!] !== 0) at++
  const optionEnd = at
  while (at < end && isBlank(buffer[at], side)) at++
  if (optionEnd > start && (at === end || buffer[at] === COMMA)) return optionEnd
  if (side === 'request') refuse(side, 'connection-syntax')
  return NO_OPTION
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
