/** A rule for paths: one path, or everything below one. */
import { isPlainPath } from './plain-path.ts'

const BELOW = '/*'
/** Written as it stands in a request line. */
const VISIBLE = /^[\x21-\x7e]+$/

/** `/healthz`, or `/webhooks/*` for every longer path that begins with `/webhooks/`. Not `/*`, which would hold everything. */
export function isPathPattern(text: string): boolean {
  const path = text.endsWith(BELOW) ? text.slice(0, -1) : text
  return text !== BELOW && VISIBLE.test(path) && !path.includes('*') && isPlainPath(path)
}

/**
 * @param path a plain one, without a query. The pattern's part must stand in it letter by letter, percent-encoding and case included. `/webhooks/` itself
 * is not below `/webhooks`: many servers answer it as `/webhooks`.
 */
export function holdsPath(pattern: string, path: string): boolean {
  if (!pattern.endsWith(BELOW)) return path === pattern
  const above = pattern.slice(0, -1)
  return path.startsWith(above) && path.length > above.length
}
