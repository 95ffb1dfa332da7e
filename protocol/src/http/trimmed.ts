/** The text without these characters at its ends. It looks at each character once, where a regular expression could look at them again and again. */
export function trimmed(text: string, characters: string): string {
  let from = 0
  let to = text.length
  while (from < to && characters.includes(text.charAt(from))) from++
  while (to > from && characters.includes(text.charAt(to - 1))) to--
  return text.slice(from, to)
}
