/** The methods that this layer knows by name (RFC 9110 §9.3, RFC 5789, WebDAV's RFC 4918). Any other token passes unread. */

const KNOWN = ['GET', 'PUT', 'HEAD', 'POST', 'PATCH', 'TRACE', 'DELETE', 'OPTIONS', 'CONNECT', 'PROPFIND']
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY'])
/** What the IANA registry calls idempotent beside the safe ones. LOCK and PATCH are not. */
const IDEMPOTENT = new Set(['PUT', 'DELETE', 'PROPPATCH', 'MKCOL', 'COPY', 'MOVE', 'UNLOCK'])

const BY_LENGTH: readonly (readonly string[])[] = Array.from({ length: 9 }, (_, length) =>
  KNOWN.filter((method) => method.length === length),
)

/** The method at [start, end): a shared string if it is known, so that the common ones cost no allocation. */
export function methodAt(buffer: Buffer, start: number, end: number): string {
  const candidates = BY_LENGTH[end - start]
  if (candidates !== undefined) {
    for (const method of candidates) if (equals(buffer, start, method)) return method
  }
  return buffer.toString('latin1', start, end)
}

function equals(buffer: Buffer, start: number, method: string): boolean {
  for (let i = 0; i < method.length; i++) if (buffer[start + i] !== method.charCodeAt(i)) return false
  return true
}

/** RFC 9110 §9.2.1. */
export const methodIsSafe = (method: string): boolean => method === 'GET' || SAFE.has(method)

/** RFC 9110 §9.2.2. */
export const methodIsIdempotent = (method: string): boolean => methodIsSafe(method) || IDEMPOTENT.has(method)
