/** The fields that no HTTP/2 message may contain, for both directions of the translation. */

/**
 * RFC 9113 §8.2.2: in HTTP/2, frames say what these fields say. HTTP2-Settings belongs to the upgrade that RFC 9113 §3.1 has removed;
 * `node:http2` throws for it, but accepts it from a peer.
 */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

/** Whether an HTTP/2 message may contain the field, in its head or in its trailers. `name` is in lower case. */
export function allowedInHttp2(name: string, value: string): boolean {
  return name === 'te' ? value.toLowerCase() === 'trailers' : !CONNECTION_SPECIFIC.has(name)
}
