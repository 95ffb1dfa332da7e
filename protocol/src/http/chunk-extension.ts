/** Writes the extensions of a chunk's line anew in clean form (RFC 9112 §7.1.1). A reader ignores those that it does not know. */

const WELL_FORMED =
  /^(?:;[\t ]*[!#$%&'*+.^_`|~\w-]+[\t ]*(?:=[\t ]*(?:[!#$%&'*+.^_`|~\w-]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*")[\t ]*)?)+$/

/** `text`: from the first semicolon to the end of the line. Well-formed extensions stay, without the white space around them. Malformed ones become the empty text. */
export function cleanExtensions(text: string): string {
  if (!WELL_FORMED.test(text)) return ''
  let clean = ''
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (character === '"') quoted = !quoted
    if (quoted && character === '\\') clean += character + text[++at]!
    else if (quoted || (character !== ' ' && character !== '\t')) clean += character
  }
  return clean
}
