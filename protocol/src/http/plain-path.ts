/** Paths that every server reads as the same place: what may be compared with a rule. */

/** One segment, decoded. No slash, backslash, dot-like or other sign of another script, semicolon or percent sign: some servers take these apart again. */
const SEGMENT = /^[\p{L}\p{M}\p{Nd} !$&'()*+,\-.:=@_~]*$/u
/** `.` and `..`, and what a file system makes of dots with blanks behind them. */
const ONLY_DOTS = /^[. +]+$/

/** The path of a target in origin-form, without its query. */
export function pathOf(target: string): string {
  const end = target.indexOf('?')
  return end === -1 ? target : target.slice(0, end)
}

/** Whether no server can take the path for another one, however often and in which order it decodes and normalises it. */
export function isPlainPath(path: string): boolean {
  const [before, ...segments] = path.split('/')
  if (before !== '' || segments.length === 0) return false
  return segments.every((segment, index) => isPlain(segment, index === segments.length - 1))
}

/** An empty segment is one at the end alone: some servers merge slashes. */
function isPlain(segment: string, last: boolean): boolean {
  if (segment === '') return last
  const text = decoded(segment)
  return text !== undefined && SEGMENT.test(text) && !ONLY_DOTS.test(text)
}

/** Undefined for what is no UTF-8 in percent-encoding: overlong forms are among it. */
function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    return undefined
  }
}
