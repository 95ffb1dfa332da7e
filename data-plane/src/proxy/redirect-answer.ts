/** The answer to a visitor who shall come back by https. Knows nothing of hosts. */
import type { RequestHead } from '@postern/protocol/http'

export const REDIRECT_STATUS = 308

/**
 * A whole response with status 308, which keeps the method and the body. No Strict-Transport-Security, which has no place in
 * clear (RFC 6797 §7.2). `head` was parsed: its path is visible ASCII, so it cannot end the field it is written into.
 */
export function redirectAnswer(origin: string, head: RequestHead, requestId: string): Buffer {
  return Buffer.from(
    [
      `HTTP/1.1 ${REDIRECT_STATUS} Permanent Redirect`,
      `Date: ${new Date().toUTCString()}`,
      `Location: ${origin}${pathOf(head)}`,
      'Content-Length: 0',
      `Postern-Request-Id: ${requestId}`,
      'Connection: close\r\n\r\n',
    ].join('\r\n'),
    'latin1',
  )
}

/** Begins with a slash, so that it cannot go on with the host's name. `*` is asked for by a URL without a path (RFC 9112 §3.2.4). */
function pathOf(head: RequestHead): string {
  const { path } = head
  return path === '*' ? '' : path
}
