/** What node:http's server makes of some bytes: its parser in process, over a stream that is no socket, within one call. */
import { createServer, type IncomingMessage, METHODS, type Server, type ServerResponse } from 'node:http'
import { Duplex } from 'node:stream'
import { HEAD_BYTES } from '@postern/protocol/limits'
import type { MessageSeen } from './message-seen.ts'

export interface OracleRun {
  readonly messages: MessageSeen[]
  /** The code of the parse error, or the status node answered by itself, if it refused the bytes. */
  readonly refusal: string | undefined
}

const KNOWN_METHODS = new Set(METHODS)
const REQUEST_LINE = /^((?:\r\n)?)([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^ \r\n]*)/

/** As raw UTF-8 is passed on. */
export const encodedTarget = (target: string): string =>
  target.replaceAll(/[\x80-\xff]/g, (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase()}`)

/**
 * Node refuses every method it does not know, and raw UTF-8 in a target, a proxy must not: where a message begins the first are replaced, the second
 * is percent-encoded, as it is passed on.
 */
export function readableByNode(bytes: Buffer, starts: readonly number[]): Buffer {
  const pieces: string[] = []
  let done = 0
  for (const start of starts) {
    const [line = '', empty, method = '', target = ''] =
      REQUEST_LINE.exec(bytes.toString('latin1', start, start + HEAD_BYTES)) ?? []
    const encoded = encodedTarget(target)
    if (line === '' || (KNOWN_METHODS.has(method) && encoded === target)) continue
    pieces.push(
      bytes.toString('latin1', done, start),
      `${empty}${KNOWN_METHODS.has(method) ? method : 'GET'} ${encoded}`,
    )
    done = start + line.length
  }
  return done === 0 ? bytes : Buffer.from(pieces.join('') + bytes.toString('latin1', done), 'latin1')
}

export class RequestOracle {
  readonly #server: Server
  #messages: MessageSeen[] = []
  #refusal: string | undefined

  constructor() {
    const seen = (request: IncomingMessage, response: ServerResponse) => this.#seen(request, response)
    this.#server = createServer({ maxHeaderSize: 64 * 1024, insecureHTTPParser: false }, seen)
    this.#server.maxHeadersCount = 0
    // Without these node answers by itself (100, 417) before anybody sees the request.
    this.#server.on('checkContinue', seen).on('checkExpectation', seen)
    this.#server.on('clientError', (error: NodeJS.ErrnoException) => {
      this.#refusal ??= error.code ?? error.message
    })
  }

  /** Feeds all bytes at once. The stream is destroyed afterwards; let the event loop turn now and then. */
  read(bytes: Buffer): OracleRun {
    this.#messages = []
    this.#refusal = undefined
    const stream = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, callback) => {
        // The only thing that is written unasked is a refusal, such as that of a missing Host.
        if (chunk.toString('latin1', 0, 12) === 'HTTP/1.1 400') this.#refusal ??= '400'
        callback()
      },
    })
    stream.on('error', () => undefined)
    this.#server.emit('connection', stream)
    stream.emit('data', bytes)
    const run = { messages: this.#messages, refusal: this.#refusal }
    stream.destroy()
    return run
  }

  close(): void {
    this.#server.close()
  }

  #seen(request: IncomingMessage, response: ServerResponse): void {
    // Node reads on behind a request that it answered 400 by itself; that it would have closed is what counts.
    if (this.#refusal !== undefined) return
    const message: MessageSeen = {
      start: `${request.method} ${request.url} ${request.httpVersion}`,
      fields: request.rawHeaders,
      keepAlive: response.shouldKeepAlive,
      bodyBytes: 0,
      complete: false,
    }
    this.#messages.push(message)
    // Body and end come through `push`, within the same call of the parser.
    request.push = (chunk: Buffer | null) => {
      if (chunk === null) message.complete = true
      else message.bodyBytes += chunk.length
      return true
    }
  }
}
