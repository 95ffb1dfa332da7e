/** What a reader makes of one message, in the terms in which two readers are compared. */

export interface MessageSeen {
  /** The start line's parts: method, target and version, or version, status and reason. */
  readonly start: string
  /** Names and values in turn, as sent. */
  readonly fields: string[]
  readonly keepAlive: boolean
  bodyBytes: number
  /** Whether the end of its body was seen. */
  complete: boolean
}

/** What differs, in words, or undefined. */
export function difference(ours: MessageSeen, theirs: MessageSeen): string | undefined {
  if (ours.start !== theirs.start) return `start: ${quote(ours.start)} ≠ ${quote(theirs.start)}`
  if (ours.fields.length !== theirs.fields.length || ours.fields.some((text, i) => text !== theirs.fields[i]))
    return `fields: ${quote(ours.fields)} ≠ ${quote(theirs.fields)}`
  // To close where the other would go on is always safe; node lets keep-alive win over close in HTTP/1.0.
  // And it reads Proxy-Connection as Connection, which RFC 9112 Appendix C.2.2 does not ask of anybody and which we never send on.
  const wantsOn = ours.keepAlive && !ours.fields.some((text, i) => i % 2 === 0 && /^proxy-connection$/i.test(text))
  if (wantsOn && !theirs.keepAlive) return `keep-alive: ${ours.keepAlive} ≠ ${theirs.keepAlive}`
  if (ours.bodyBytes !== theirs.bodyBytes || ours.complete !== theirs.complete)
    return `body: ${ours.bodyBytes} bytes, complete ${ours.complete} ≠ ${theirs.bodyBytes} bytes, complete ${theirs.complete}`
  return undefined
}

const quote = (value: unknown) => JSON.stringify(value)
