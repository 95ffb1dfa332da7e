/** A second, plainer reading of chunked bodies: the boundary alone does not tell data from framing. */

/** Bytes of data, as far as they have come. */
export function dataBytes(coded: Buffer): number {
  let data = 0
  for (const { from, to } of chunks(coded)) data += Math.min(to, coded.length) - from
  return data
}

/** Where the trailer section of a whole body begins: behind the line of the last chunk. */
export function trailersAt(coded: Buffer): number {
  let at = 0
  for (const { to } of chunks(coded)) at = to + 2
  return coded.indexOf('\r\n', at) + 2
}

function* chunks(coded: Buffer): Generator<{ from: number; to: number }> {
  for (let at = 0; at < coded.length; ) {
    const lineEnd = coded.indexOf('\r\n', at)
    if (lineEnd === -1) return
    const size = Number.parseInt(coded.toString('latin1', at, lineEnd), 16)
    if (!(size > 0)) return
    const from = lineEnd + 2
    yield { from, to: from + size }
    at = from + size + 2
  }
}
