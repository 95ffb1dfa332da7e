/** What the experiments do with our streams: read to the end, echo. */
import type { ByteStream, RawStream } from '@postern/protocol/mux'

/** Everything until the peer's FIN; rejects with the fault of a reset. */
export function readAll(stream: ByteStream): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    stream.listen({
      data: (chunk) => {
        chunks.push(chunk)
        stream.consume(chunk.length)
      },
      end: () => resolve(Buffer.concat(chunks)),
      reset: reject,
      writable: () => {},
    })
  })
}

/** Sends back what comes, with back-pressure both ways, and ends when the peer has. */
export function echo(stream: RawStream): void {
  let owed = 0
  let full = false
  stream.listen({
    data: (chunk) => {
      owed += chunk.length
      full = !stream.write(chunk)
      if (!full) pay()
    },
    end: () => stream.end(),
    reset: () => {},
    writable: () => {
      full = false
      pay()
    },
  })
  function pay(): void {
    stream.consume(owed)
    owed = 0
  }
}

/** Bytes that differ from place to place and from stream to stream. */
export function pattern(bytes: number, seed: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes)
  for (let at = 0; at < bytes; at++) buffer[at] = (at * 31 + (at >>> 8) * 17 + seed * 101) & 0xff
  return buffer
}
