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

/** Indices of the white space in the lines of chunks, outside of quoted values. */
export function blanksIn(coded: Buffer): number[] {
  const lines: { from: number; to: number }[] = []
  let at = 0
  for (const { from, to } of chunks(coded)) {
    lines.push({ from: at, to: from })
    at = to + 2
  }
  const end = coded.indexOf('\r\n', at)
  if (at < coded.length) lines.push({ from: at, to: end === -1 ? coded.length : end })
  return lines.flatMap(({ from, to }) => {
    const unquoted = coded
      .toString('latin1', from, to)
      .replaceAll(/"(?:[^"\\]|\\.)*"?/g, (text) => 'q'.repeat(text.length))
    return [...unquoted].flatMap((byte, i) => (byte === ' ' || byte === '\t' ? [from + i] : []))
  })
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
