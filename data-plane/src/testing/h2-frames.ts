/** Frames of HTTP/2 as a client writes them byte for byte (RFC 9113 §4, §6). Knows nothing of sockets. */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

const END_STREAM = 1
const END_HEADERS = 4
/** Indexed fields of RFC 7541, Appendix A, and the name of a literal one that is not indexed (§6.2.2). */
const METHOD = { GET: 0x82, POST: 0x83 } as const
const [SCHEME_HTTP, PATH_ROOT, AUTHORITY] = [0x86, 0x84, 0x01]

export function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** SETTINGS that change nothing: what follows the preface. */
export const SETTINGS = frame(4, 0, 0)

/** HEADERS of a request for / of demo.example.com; of a GET they end the request. */
export function headersFrame(stream: number, method: keyof typeof METHOD = 'GET'): Buffer {
  const authority = Buffer.from('demo.example.com')
  const fields = Buffer.from([METHOD[method], SCHEME_HTTP, PATH_ROOT, AUTHORITY, authority.length])
  const flags = method === 'GET' ? END_HEADERS | END_STREAM : END_HEADERS
  return frame(1, flags, stream, Buffer.concat([fields, authority]))
}

/** DATA with more to come. */
export const dataFrame = (stream: number, bytes: Buffer): Buffer => frame(0, 0, stream, bytes)

/** @param code RFC 9113 §7 */
export function resetFrame(stream: number, code: number): Buffer {
  const payload = Buffer.alloc(4)
  payload.writeUInt32BE(code)
  return frame(3, 0, stream, payload)
}
