/** The answer to a request that may be passed on no further (RFC 9110 §7.6.2). Its server is asked nothing. */
import type { RequestHead } from '@postern/protocol/http'

export const LAST_HOP_STATUS = 200

/**
 * A whole response, after which the connection ends. TRACE gets back its request line and Host alone: other fields may hold secrets that a page
 * must not read (RFC 9110 §9.3.8).
 */
export function lastHopAnswer(head: RequestHead, requestId: string): Buffer {
  const body = head.method === 'TRACE' ? `TRACE ${head.target} HTTP/1.1\r\nHost: ${head.host}\r\n\r\n` : ''
  const lines = [
    `HTTP/1.1 ${LAST_HOP_STATUS} OK`,
    `Date: ${new Date().toUTCString()}`,
    ...(body === '' ? [] : ['Content-Type: message/http', 'X-Content-Type-Options: nosniff']),
    `Content-Length: ${body.length}`,
    'Cache-Control: no-store',
    `Postern-Request-Id: ${requestId}`,
    'Connection: close',
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`, 'latin1')
}
