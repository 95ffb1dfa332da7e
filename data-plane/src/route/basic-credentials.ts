/** Reads the name and password of an Authorization value: one reader for the check and for the removal. */
import { CREDENTIAL_BYTES } from '@postern/protocol/limits'

/** Any value that a lenient server may take for basic authentication; no other registered scheme begins so. */
const LIKE_BASIC = /^[^a-z]*basic[^a-z0-9]*[a-z0-9]/i
/** RFC 9110 §11.4 and RFC 7617 §2: the scheme in any case, then base64. Some clients write tabs. */
const BASIC = /^[ \t]*basic[ \t]+([a-z0-9+/]+={0,2})[ \t]*$/i
const BASE64_OF_LONGEST = Math.ceil(CREDENTIAL_BYTES / 3) * 4
const COLON = 0x3a

/** `none`: nothing that can be a tunnel's password. `unreadable`: a spelling that cannot be checked and may hold one. */
export type BasicCredentials = Buffer | 'none' | 'unreadable'

/** @returns `name:password` where the value is one */
export function basicCredentials(value: string): BasicCredentials {
  if (!LIKE_BASIC.test(value)) return 'none'
  const text = BASIC.exec(value)?.[1]
  if (text === undefined) return 'unreadable'
  if (text.length > BASE64_OF_LONGEST) return 'none'
  const credentials = Buffer.from(text, 'base64')
  return credentials.includes(COLON) ? credentials : 'none'
}
