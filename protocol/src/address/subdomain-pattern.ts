/** Which names a token may ask for: a pattern is a name in which `*` stands for any run of characters. */

const PATTERN = /^[a-z0-9*](?:[a-z0-9*-]{0,61}[a-z0-9*])?$/

/** Whether `text` can be a pattern of names. */
export const isSubdomainPattern = (text: string): boolean => PATTERN.test(text)

/** Whether one of `patterns` covers the whole of `name`. No pattern, no name: an empty list allows nothing. */
export function allowsSubdomain(patterns: Iterable<string>, name: string): boolean {
  for (const pattern of patterns) if (covers(pattern, name)) return true
  return false
}

/** Anchored at both ends; the parts between stars are looked for from left to right, so it is linear and never backtracks. */
function covers(pattern: string, name: string): boolean {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return pattern === name
  if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false
  const end = name.length - last.length
  let from = first.length
  for (const part of rest) {
    const at = name.indexOf(part, from)
    if (at < 0 || at + part.length > end) return false
    from = at + part.length
  }
  return true
}
