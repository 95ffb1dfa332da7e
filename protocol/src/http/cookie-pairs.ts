/** The pairs of a Cookie field (RFC 6265 §5.4): found by their names, or left out. */

const nameOf = (pair: string): string => pair.split('=', 1)[0]!.trim()

/** The values of every pair of one of these names, in order. */
export function cookieValues(field: string, names: ReadonlySet<string>): string[] {
  const found = field.split(';').filter((pair) => names.has(nameOf(pair)))
  return found.map((pair) => pair.slice(pair.indexOf('=') + 1).trim())
}

/** The field without them, the others byte for byte as they were; undefined if no other is left. */
export function withoutCookies(field: string, names: ReadonlySet<string>): string | undefined {
  const pairs = field.split(';')
  const others = pairs.filter((pair) => !names.has(nameOf(pair)))
  if (others.length === pairs.length) return field
  const text = others.join(';').trim()
  return text === '' ? undefined : text
}
