/** A local server of large responses in every framing, and a visitor who says how far one came. Knows nothing of tunnels. */
import { once } from 'node:events'
import { createServer, get, type Server } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { patternedStream } from '../support/patterned-bytes.ts'

export const FRAMINGS = ['length', 'chunked', 'close'] as const

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

/** How a download ended, and after how many bytes of its body. `whole` is what looks whole to an HTTP client, however long it is. */
export interface Ending {
  readonly how: 'whole' | 'cut' | 'refused'
  readonly bytes: number
}

/** `progress` hears of the bytes so far, 0 when the request is on its way. */
export function download(
  at: { readonly port: number; readonly host: string; readonly path: string },
  progress: (bytes: number) => void,
): Promise<Ending> {
  return new Promise((resolve) => {
    let bytes = 0
    const { port, host, path } = at
    const request = get({ agent: false, host: '127.0.0.1', port, path, headers: { host } }, (response) => {
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        progress(bytes)
      })
      response.on('end', () => resolve({ how: response.statusCode === 200 ? 'whole' : 'refused', bytes }))
      response.on('error', () => resolve({ how: 'cut', bytes }))
    })
    request.on('error', () => resolve({ how: 'cut', bytes }))
    request.on('finish', () => progress(0))
  })
}
