/** Puts the chunked coding on a response body that only the end of its connection delimits (RFC 9112 §7.1). Keeps no state. */

/** Ends the body: nothing but this says that it is whole. */
export const LAST_CHUNK = Buffer.from('0\r\n\r\n')

const CRLF_BYTES = 2

/** One chunk of the bytes in [from, to), which must not be none, in memory of its own. */
export function chunkOf(buffer: Buffer, from: number, to: number): Buffer {
  const size = (to - from).toString(16)
  const dataAt = size.length + CRLF_BYTES
  const chunk = Buffer.allocUnsafe(dataAt + (to - from) + CRLF_BYTES)
  chunk.write(`${size}\r\n`, 0, 'latin1')
  buffer.copy(chunk, dataAt, from, to)
  chunk.write('\r\n', dataAt + (to - from), 'latin1')
  return chunk
}
