/** Recognises, on bytes, the fields that this layer acts on. Knows nothing of their values. */
import { LOWER, TOKEN, TOKEN_ODD } from './character-tables.ts'

/** What a field is to us. A plain number, since it is kept beside the spans of its line. */
export const FIELD = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  keepAlive: 5,
  upgrade: 6,
  te: 7,
  expect: 8,
  /** `Proxy` and every `Proxy-…`: between a client and its proxy (RFC 9110 §11.7); `Proxy` is taken for a setting by CGI. */
  proxy: 9,
  forwarded: 10,
  forwardedFor: 11,
  forwardedProto: 12,
  forwardedHost: 13,
  /** Every other `X-Forwarded-…`. */
  forwardedOther: 14,
  realIp: 15,
  requestId: 16,
  setCookie: 17,
  tunnelError: 18,
  location: 19,
  /** One that differs from one of the others by its punctuation alone. */
  lookAlike: 20,
  date: 21,
  maxForwards: 22,
  authorization: 23,
  wwwAuthenticate: 24,
  cookie: 25,
  via: 26,
  /** A line that repeats what another says, and does not go on. */
  leftOut: 27,
} as const

export type FieldId = (typeof FIELD)[keyof typeof FIELD]

/** A set of ids as one number. */
export function bits(...ids: FieldId[]): number {
  return ids.reduce<number>((set, id) => set | (1 << id), 0)
}

interface KnownName {
  readonly bytes: Uint8Array
  readonly id: FieldId
}

const ascii = (text: string) => Buffer.from(text, 'latin1')

const EXACT: Record<string, FieldId> = {
  host: FIELD.host,
  'content-length': FIELD.contentLength,
  'transfer-encoding': FIELD.transferEncoding,
  connection: FIELD.connection,
  'keep-alive': FIELD.keepAlive,
  upgrade: FIELD.upgrade,
  te: FIELD.te,
  expect: FIELD.expect,
  proxy: FIELD.proxy,
  forwarded: FIELD.forwarded,
  'x-forwarded-for': FIELD.forwardedFor,
  'x-forwarded-proto': FIELD.forwardedProto,
  'x-forwarded-host': FIELD.forwardedHost,
  'x-real-ip': FIELD.realIp,
  'postern-request-id': FIELD.requestId,
  'set-cookie': FIELD.setCookie,
  'tunnel-error': FIELD.tunnelError,
  location: FIELD.location,
  authorization: FIELD.authorization,
  'www-authenticate': FIELD.wwwAuthenticate,
  date: FIELD.date,
  'max-forwards': FIELD.maxForwards,
  cookie: FIELD.cookie,
  via: FIELD.via,
}

const PROXY_PREFIX = ascii('proxy-')
const FORWARDED_PREFIX = ascii('x-forwarded-')
/** All exact names are shorter, and the prefixes too: this many bytes of a name tell what it is. */
export const LONGEST_NAME = 32

/** No two exact names share length and first letter, so one slot each is enough; `slotOf` throws at start-up if that changes. */
const BY_LENGTH_AND_LETTER: (KnownName | undefined)[] = new Array(LONGEST_NAME * 32).fill(undefined)
for (const [name, id] of Object.entries(EXACT)) {
  const slot = slotOf(name.length, name.charCodeAt(0))
  if (BY_LENGTH_AND_LETTER[slot]) throw new Error(`two field names in one slot: ${name}`)
  BY_LENGTH_AND_LETTER[slot] = { bytes: ascii(name), id }
}

function slotOf(length: number, first: number): number {
  return (length << 5) | (first & 31)
}

/** Whether the bytes at `start` spell `name` (lower-case letters and hyphens) in any case. */
export function spells(buffer: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if ((buffer[start + i]! | LOWER) !== name[i]) return false
  return true
}

const LETTER_P = 0x70
const LETTER_X = 0x78

/** The id of the name at [start, end), whose bytes are token characters without oddities. */
export function fieldId(buffer: Uint8Array, start: number, end: number): FieldId {
  const length = end - start
  const first = buffer[start]! | LOWER
  if (length < LONGEST_NAME) {
    const known = BY_LENGTH_AND_LETTER[(length << 5) | (first & 31)]
    if (known !== undefined && spells(buffer, start, known.bytes)) return known.id
  }
  if (first === LETTER_X && length > FORWARDED_PREFIX.length && spells(buffer, start, FORWARDED_PREFIX))
    return FIELD.forwardedOther
  if (first === LETTER_P && length > PROXY_PREFIX.length && spells(buffer, start, PROXY_PREFIX)) return FIELD.proxy
  return FIELD.other
}

/** The id of a name given as text. */
export function fieldIdOf(name: string): FieldId {
  const bytes = ascii(name)
  return bytes.length === 0 ? FIELD.other : fieldId(bytes, 0, bytes.length)
}

const folded = new Uint8Array(LONGEST_NAME)
const HYPHEN = 0x2d

/**
 * The id of one of ours that a name with odd token characters would be with hyphens in their place; otherwise `FIELD.other`. Gateways of the
 * CGI family fold `Content_Length`, `Content.Length` and `Content-Length` into one variable, so a look-alike is a second field of that name.
 */
export function lookAlikeOf(buffer: Uint8Array, start: number, end: number, kinds: number): FieldId {
  if ((kinds & TOKEN_ODD) === 0) return FIELD.other
  const length = Math.min(LONGEST_NAME, end - start)
  for (let i = 0; i < length; i++) {
    const byte = buffer[start + i]!
    folded[i] = TOKEN[byte] === TOKEN_ODD ? HYPHEN : byte
  }
  return fieldId(folded, 0, length)
}
