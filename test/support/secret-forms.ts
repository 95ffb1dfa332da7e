/** The ways in which a secret may come to be written somewhere, and to be read there. Knows nothing of whose secret it is. */

const HEX = /^(?:[0-9a-f]{2})+$/i

/** Each way of writing `text`, by name. What is hexadecimal is a key, and is written as its bytes, too. */
export function* allForms(text: string): Iterable<[form: string, written: string]> {
  yield ['text', text]
  yield* formsOf(Buffer.from(text))
  if (!HEX.test(text)) return
  yield ['text', text.toLowerCase()]
  yield ['text', text.toUpperCase()]
  const bytes = Buffer.from(text, 'hex')
  const latin1 = bytes.toString('latin1')
  yield ['bytes', latin1]
  // Bytes that somebody took for characters, and wrote as those.
  yield ['bytes', Buffer.from(latin1, 'utf8').toString('latin1')]
  yield* formsOf(bytes)
}

function* formsOf(bytes: Buffer): Iterable<[form: string, written: string]> {
  const hex = bytes.toString('hex')
  yield ['hexadecimal', hex]
  yield ['hexadecimal', hex.toUpperCase()]
  // In the middle of something that is encoded, it begins at any of three places of a group of four characters.
  for (const before of [0, 1, 2]) {
    const shifted = Buffer.concat([Buffer.alloc(before), bytes])
    // The first and the last characters belong to the neighbours, too.
    const own = shifted
      .toString('base64')
      .replaceAll('=', '')
      .slice(before + (before > 0 ? 1 : 0), -1)
    yield ['base64', own]
  }
}

/** `text`, character by character, with the letters of base64url written as those of base64: so the two are one form. */
export const oneAlphabet = (text: string): string => text.replaceAll('-', '+').replaceAll('_', '/')

/** `<Buffer 5a 01 …>` */
const SPACED_HEX = /\b[0-9a-f]{2}(?:\s[0-9a-f]{2}){15,}\b/gi
/** `[90, 1, …]` and `{"0":90,"1":1,…}`: how JSON and console show bytes. */
const LISTED_BYTES = /\b\d{1,3}(?:\s*,\s*(?:"?\d+"?\s*:\s*)?\d{1,3}){15,}\b/g

/**
 * What `bytes` may be read as: themselves, and what lists of bytes in them stand for. As latin1, so that a character is a byte;
 * every form but the raw bytes is ASCII.
 */
export function* readings(bytes: Buffer): Iterable<string> {
  const text = bytes.toString('latin1')
  yield text
  for (const [spaced] of text.matchAll(SPACED_HEX)) yield spaced.replaceAll(/\s/g, '').toLowerCase()
  for (const [list] of text.matchAll(LISTED_BYTES)) {
    const numbers = list.replaceAll(/"?\d+"?\s*:/g, '').split(',')
    yield Buffer.from(numbers.map(Number)).toString('hex')
  }
}
