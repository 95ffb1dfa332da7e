/** The first bytes of an HTTP/2 connection (RFC 9113 §3.4). Knows nothing of sockets. */

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Whether a connection that begins with these bytes speaks HTTP/2: `part` while that cannot be said. */
export function prefaceIn(bytes: Buffer): 'whole' | 'part' | 'none' {
  const length = Math.min(bytes.length, PREFACE.length)
  if (bytes.compare(PREFACE, 0, length, 0, length) !== 0) return 'none'
  return length === PREFACE.length ? 'whole' : 'part'
}
