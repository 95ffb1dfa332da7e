/** Text between the quotes of a JSON string, in ASCII. Knows nothing of where it came from, and trusts none of it. */

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** Control characters, quotes and all that is not ASCII are escaped, so that it is one line in any encoding. What is longer than `longest` ends in `...`. */
export function jsonText(text: string, longest: number): string {
  if (text.length > longest) return `${jsonText(text.slice(0, longest), longest)}...`
  return isPlain(text) ? text : escaped(text)
}

function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code > 0x7e || code === QUOTE || code === BACKSLASH) return false
  }
  return true
}

const escaped = (text: string): string =>
  JSON.stringify(text)
    .slice(1, -1)
    .replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
