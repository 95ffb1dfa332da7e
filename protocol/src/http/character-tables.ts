/** Which byte may stand where: lookup tables over the octets 0–255. */

export const HTAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SP = 0x20
export const COLON = 0x3a

/** Adding this bit makes a letter lower-case and leaves digits and the hyphen alone. */
export const LOWER = 0x20

type Code = number

function table(fill: (code: Code) => number): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => fill(code))
}

const within = (characters: string) => (code: Code) => characters.includes(String.fromCharCode(code))
const isDigit = (code: Code) => code >= 0x30 && code <= 0x39
const isLetter = (code: Code) => (code | LOWER) >= 0x61 && (code | LOWER) <= 0x7a && code < 0x80
const isVisible = (code: Code) => code > SP && code < 0x7f
const isObsText = (code: Code) => code >= 0x80

/** A token character that is a letter, a digit or a hyphen. */
const TOKEN_PLAIN = 1
/** Any other token character: one that some servers fold into a hyphen. */
export const TOKEN_ODD = 2

/** RFC 9110 §5.6.2. 0: no token character; otherwise one of the two kinds above, as bits. */
export const TOKEN = table((code) => {
  if (isDigit(code) || isLetter(code) || code === 0x2d) return TOKEN_PLAIN
  return within("!#$%&'*+.^_`|~")(code) ? TOKEN_ODD : 0
})

/** RFC 9110 §5.5: field-vchar, SP and HTAB. */
export const VALUE = table((code) => (isVisible(code) || isObsText(code) || code === SP || code === HTAB ? 1 : 0))

/** RFC 9110 §5.5: the control characters that a value must not have, without NUL, CR and LF, which are dangerous. */
export const CONTROL = table((code) => {
  const isDangerous = code === 0 || code === LF || code === CR
  return (code < SP && code !== HTAB && !isDangerous) || code === 0x7f ? 1 : 0
})

/** A byte of a target that is passed on as it came. */
export const TARGET_PLAIN = 1
/** One that is passed on percent-encoded, if it is part of well-formed UTF-8. */
const TARGET_RAW = 2

/** A target: visible ASCII but `#`, which is more than RFC 3986 allows, since browsers leave `|` or `^` as they are; and UTF-8. */
export const TARGET = table((code) => {
  if (isObsText(code)) return TARGET_RAW
  return isVisible(code) && code !== 0x23 ? TARGET_PLAIN : 0
})

/** RFC 3986 §3.2.2 reg-name without percent-encoding and sub-delims: no name that resolves has them. `_` occurs in practice. */
export const HOST_NAME = table((code) => (isDigit(code) || isLetter(code) || within('-._')(code) ? 1 : 0))

/** The inside of an IPv6 literal; whether it is an address is no concern of a parser. */
export const HOST_LITERAL = table((code) => (isDigit(code) || within('abcdefABCDEF:.')(code) ? 1 : 0))

export const NO_DIGIT = 255

/** The value of a hexadecimal digit, or `NO_DIGIT`. */
export const HEX = table((code) => {
  if (isDigit(code)) return code - 0x30
  const letter = code | LOWER
  return code < 0x80 && letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : NO_DIGIT
})

/** RFC 9110 §5.6.4: qdtext. */
export const QUOTED = table((code) => (VALUE[code] === 1 && code !== 0x22 && code !== 0x5c ? 1 : 0))
