/** Fields of somebody else's making that go into a head, or do not go on: which names and values may. Knows nothing of who asks. */
import { TOKEN, VALUE } from './character-tables.ts'
import { bits, FIELD, type FieldId, fieldIdOf } from './field-names.ts'

export interface HeaderChanges {
  /** Lower-case names. */
  readonly removed: ReadonlySet<string>
  /** Complete field lines, each ending in CRLF. */
  readonly addedLines: string
}

/** Framing, the connection, the route, and what we say of the visitor: a change of these would be another message, or a lie. */
const OURS = bits(
  FIELD.host,
  FIELD.contentLength,
  FIELD.transferEncoding,
  FIELD.connection,
  FIELD.keepAlive,
  FIELD.upgrade,
  FIELD.te,
  FIELD.expect,
  FIELD.proxy,
  FIELD.forwarded,
  FIELD.forwardedFor,
  FIELD.forwardedProto,
  FIELD.forwardedHost,
  FIELD.forwardedOther,
  FIELD.realIp,
  FIELD.requestId,
  FIELD.tunnelError,
  FIELD.via,
)
/** The same, of fields that this layer otherwise leaves alone. */
const OURS_BY_NAME: ReadonlySet<string> = new Set(['trailer'])
/** Token characters that local servers fold into hyphens (RFC 3875 §4.1.18): judged as if they were. */
const ODD = /[^0-9A-Za-z]/g

const is = (set: number, id: FieldId): boolean => (set & (1 << id)) !== 0
const all = (text: string, table: Uint8Array): boolean =>
  Buffer.from(text).every((byte) => byte < 0x80 && table[byte] !== 0)

/** Whether the field may be taken out of heads, and put into them but for `mayAdd`. */
export function mayChange(name: string): boolean {
  if (name === '' || !all(name, TOKEN)) return false
  const folded = name.toLowerCase().replaceAll(ODD, '-')
  return !is(OURS, fieldIdOf(folded)) && !OURS_BY_NAME.has(folded)
}

/** Whether the field may be put into heads. Not Set-Cookie: each tunnel's cookies are judged as its local server sends them. */
export function mayAdd(name: string): boolean {
  return mayChange(name) && fieldIdOf(name.toLowerCase().replaceAll(ODD, '-')) !== FIELD.setCookie
}

/** RFC 9110 §5.5, of ASCII alone: what other bytes mean is known to sender and reader only. */
export const isFieldValue = (text: string): boolean => all(text, VALUE) && text === text.trim()

/** @param add fields whose names and values were judged before */
export function headerChanges(
  add: readonly (readonly [name: string, value: string])[],
  remove: readonly string[],
): HeaderChanges {
  return {
    removed: new Set(remove.map((name) => name.toLowerCase())),
    addedLines: add.map(([name, value]) => `${name}: ${value}\r\n`).join(''),
  }
}
