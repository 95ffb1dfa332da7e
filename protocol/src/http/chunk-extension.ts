/** Writes the extensions of a chunk's line anew in clean form (RFC 9112 §7.1.1). Nothing hangs on them: a reader ignores those that it does not know. */

const WELL_FORMED =
  /^(?:;[\t ]*[!#$%&'*+.^_`|~\w-]+[\t ]*(?:=[\t ]*(?:[!#$%&'*+.^_`|~\w-]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*")[\t ]*)?)+$/

/** `text`: from the first semicolon to the end of the line. What is well-formed stays, without the white space around it; of all else nothing does. */
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
