/** The authority of a request: host and port (RFC 3986 §3.2, RFC 9110 §4.2). Checks its letters; knows nothing of tunnels. */
import { COLON, HOST_LITERAL, HOST_NAME } from './character-tables.ts'
import { refuse } from './rules.ts'

const AT = 0x40
const BRACKET_OPEN = 0x5b
const BRACKET_CLOSE = 0x5d
const PORT_DIGITS = 5

/** Index behind the host part of [start, end), which is where a port would begin. @throws TunnelFault host-syntax, host-userinfo */
export function hostEnd(buffer: Buffer, start: number, end: number): number {
  for (let i = start; i < end; i++) if (buffer[i] === AT) refuse('request', 'host-userinfo')
  let at = start
  if (buffer[at] === BRACKET_OPEN && at < end) {
    at++
    while (at < end && HOST_LITERAL[buffer[at]!] === 1) at++
    if (at === start + 1 || at >= end || buffer[at] !== BRACKET_CLOSE) refuse('request', 'host-syntax')
    at++
  } else {
    while (at < end && HOST_NAME[buffer[at]!] === 1) at++
  }
  if (at === end) return at
  if (buffer[at] !== COLON || at === start) refuse('request', 'host-syntax')
  checkPort(buffer, at + 1, end)
  return at
}

/** Whether a text could stand in Host. */
export function isAuthority(text: string): boolean {
  const buffer = Buffer.from(text)
  if (buffer.length === 0) return false
  try {
    hostEnd(buffer, 0, buffer.length)
    return true
  } catch {
    // Any rule that it breaks is the same answer here.
    return false
  }
}

/** An authority without a port that its scheme implies: it may be written, left empty or left out (RFC 9110 §4.2.3). */
export function withoutDefaultPort(authority: string, scheme: 'http' | 'https'): string {
  for (const port of [scheme === 'http' ? ':80' : ':443', ':']) {
    if (authority.endsWith(port)) return authority.slice(0, -port.length)
  }
  return authority
}

/** RFC 3986 §3.2.3 allows an empty port; what TCP has no port for is refused. */
function checkPort(buffer: Buffer, start: number, end: number): void {
  if (end - start > PORT_DIGITS) refuse('request', 'host-syntax')
  let port = 0
  for (let i = start; i < end; i++) {
    const digit = buffer[i]! - 0x30
    if (digit < 0 || digit > 9) refuse('request', 'host-syntax')
    port = port * 10 + digit
  }
  if (port > 0xffff) refuse('request', 'host-syntax')
}
