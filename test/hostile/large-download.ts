/** A local server of large responses in every framing, and a visitor who says how far one came. Knows nothing of tunnels. */
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { patternedStream } from '../support/patterned-bytes.ts'
import { visitUntilClosed } from './closing-visit.ts'

export const FRAMINGS = ['length', 'chunked', 'close'] as const
type Framing = (typeof FRAMINGS)[number]

/** Answers /length, /chunked and /close (delimited by the end of the connection) with `bytes` of a pattern. */
export async function startLargeOrigin(bytes: number): Promise<Server> {
  const server = createServer(async (request, response) => {
    const framing = request.url?.slice(1)
    if (framing === 'length') response.setHeader('content-length', bytes)
    if (framing === 'close') response.useChunkedEncodingByDefault = false
    try {
      await pipeline(patternedStream(bytes), response)
    } catch {
      // The reader is gone, which is what the experiment does.
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

/** How a download ended, and after how many bytes of its body. `whole` is what looks whole, however long it is. */
export interface Ending {
  readonly how: 'whole' | 'cut' | 'refused'
  readonly bytes: number
}

interface Download {
  readonly port: number
  readonly host: string
  readonly framing: Framing
}

/** The last chunk and an empty trailer section. */
const LAST_CHUNK = '0\r\n\r\n'

/** `progress` hears of the bytes so far, 0 when the request is on its way. */
export async function download({ port, host, framing }: Download, progress: (bytes: number) => void): Promise<Ending> {
  let head = ''
  let tail = ''
  let bytes = 0
  await visitUntilClosed({
    port,
    ask: (socket) => {
      socket.write(`GET /${framing} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`, () => progress(0))
    },
    heard: (chunk) => {
      let body = chunk
      if (!head.includes('\r\n\r\n')) {
        const before = head.length
        head += chunk.toString('latin1')
        const end = head.indexOf('\r\n\r\n')
        if (end < 0) return
        body = chunk.subarray(end + 4 - before)
        head = head.slice(0, end + 4)
      }
      bytes += body.length
      tail = (tail + body.toString('latin1', Math.max(0, body.length - LAST_CHUNK.length))).slice(-LAST_CHUNK.length)
      progress(bytes)
    },
  })
  if (/^tunnel-error:/im.test(head)) return { how: 'refused', bytes }
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1])
  const whole = framing === 'length' ? bytes >= length : tail === LAST_CHUNK
  return { how: whole ? 'whole' : 'cut', bytes }
}
