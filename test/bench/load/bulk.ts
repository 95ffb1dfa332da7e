/** Moves one large body and says how long that took. Knows nothing of who passes it on. */
import { connect } from 'node:net'
import type { Target } from '../contender.ts'
import { ResponseReader } from '../response-reader.ts'

const BLOCK = Buffer.alloc(256 * 1024, 'postern ')
/** Reads go into one buffer again and again: the client shall not be what is measured. */
const READ_BYTES = 256 * 1024
/** Without a byte for so long the transfer has failed. */
const SILENCE_MS = 10_000

/** One stream of `bytes` from the origin. Resolves with seconds, from the request to the last byte. */
export const download = (target: Target, bytes: number): Promise<number> =>
  transfer(target, `GET /bytes/${bytes} HTTP/1.1\r\nHost: ${target.host}\r\n\r\n`, 0, (status, length) => {
    if (status !== 200 || length !== bytes) throw new Error(`status ${status} and ${length} bytes instead of ${bytes}`)
  })

/** One stream of `bytes` to the origin. Resolves with seconds, from the request to the origin's answer. */
export const upload = (target: Target, bytes: number): Promise<number> =>
  transfer(
    target,
    `POST / HTTP/1.1\r\nHost: ${target.host}\r\nContent-Length: ${bytes}\r\n\r\n`,
    bytes,
    (status, _length, body) => {
      if (status !== 200 || body !== `${bytes}\n`) throw new Error(`status ${status}, origin counted ${body}`)
    },
  )

/** @param check throws if the response is not the expected one */
function transfer(
  target: Target,
  head: string,
  bodyBytes: number,
  check: (status: number, bytes: number, body: string) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let begun = 0
    let left = bodyBytes
    const into = Buffer.allocUnsafe(READ_BYTES)
    const reader = new ResponseReader((status, bytes, body) => {
      const spent = (performance.now() - begun) / 1000
      check(status, bytes, body)
      socket.destroy()
      resolve(spent)
    })
    const fail = (error: Error): void => {
      socket.destroy()
      reject(error)
    }
    const send = (): void => {
      while (left > 0) {
        const piece = left >= BLOCK.length ? BLOCK : BLOCK.subarray(0, left)
        left -= piece.length
        if (!socket.write(piece)) return
      }
    }
    const socket = connect({
      host: '127.0.0.1',
      port: target.port,
      noDelay: true,
      onread: {
        buffer: into,
        callback: (length) => {
          try {
            reader.read(into, length)
          } catch (error) {
            fail(error as Error)
          }
          return true
        },
      },
    })
    socket.setTimeout(SILENCE_MS, () => fail(new Error(`nothing moved for ${SILENCE_MS} ms`)))
    socket.on('connect', () => {
      begun = performance.now()
      socket.write(head)
      send()
    })
    socket.on('drain', send)
    socket.on('error', reject)
    socket.on('end', () => fail(new Error('the connection ended before the response')))
  })
}
