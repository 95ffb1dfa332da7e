/** Writes the field lines of a response in clean form, so that no later reader sees what is only tolerated. */
import { CONTROL, SP } from './character-tables.ts'
import type { FieldLines } from './field-lines.ts'
import { trimmed } from './trimmed.ts'

/**
 * The lines behind `before`, each as `name: value CRLF`, and the empty line: without folds (RFC 9112 §5.2: each becomes white space), with a space for each control
 * character (RFC 9110 §5.5), also of `before`.
 */
export function cleanSection(lines: FieldLines, before = ''): Buffer {
  let text = before
  for (let i = 0; i < lines.count; i++) text += `${lines.name(i)}: ${unfolded(lines.value(i))}\r\n`
  const section = Buffer.from(`${text}\r\n`, 'latin1')
  for (let i = 0; i < section.length; i++) if (CONTROL[section[i]!] === 1) section[i] = SP
  return section
}

/** The pieces of a value that stand in lines of their own, parted by one space each. `trim` would take bytes of the value, too. */
function unfolded(value: string): string {
  if (!value.includes('\n')) return value
  const pieces = value.split('\n').map((piece) => trimmed(piece, ' \t\r'))
  return pieces.filter((piece) => piece !== '').join(' ')
}
