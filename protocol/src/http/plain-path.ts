/** Paths that every server reads as the same place: what may be compared with a rule. */

/**
 * One segment, decoded. No slash, backslash, semicolon or percent sign: some servers take a path apart by these after they have decoded it. No character above 127: some
 * servers turn one into another (`．` and `Į` into a dot, by NFKC and by cutting it to a byte).
 */
const SEGMENT = /^[A-Za-z0-9 !$&'()*+,\-.:=@_~]*$/
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
