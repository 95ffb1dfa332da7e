/** `@chainsafe/libp2p-yamux` on a plain TCP socket, without the rest of libp2p. */
/// <reference lib="es2024.promise" />
import type { Socket } from 'node:net'
import { yamux } from '@chainsafe/libp2p-yamux'

// It needs Promise.withResolvers, which Node has from 22 on; this project supports 20.
Promise.withResolvers ??= <T>() => {
  let resolve!: (value: T | PromiseLike<T>) => void
  let reject!: (reason?: unknown) => void
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}

type Factory = ReturnType<ReturnType<typeof yamux>>
export type Libp2pMuxer = ReturnType<Factory['createStreamMuxer']>
export type Libp2pStream = Awaited<ReturnType<Libp2pMuxer['createStream']>>
type Connection = Parameters<Factory['createStreamMuxer']>[0]

const quiet = Object.assign(() => {}, { trace: () => {}, error: () => {}, enabled: false, newScope: () => quiet })

/** The parts of libp2p's connection that its multiplexer uses. */
class SocketConnection extends EventTarget {
  readonly log = quiet
  readonly direction: 'inbound' | 'outbound'
  readonly #socket: Socket

  constructor(socket: Socket, direction: 'inbound' | 'outbound') {
    super()
    this.direction = direction
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (data) => this.dispatchEvent(Object.assign(new Event('message'), { data })))
    socket.on('drain', () => this.dispatchEvent(new Event('drain')))
    socket.on('error', () => {})
    socket.on('close', () => this.dispatchEvent(new Event('close')))
  }

  send(bytes: Uint8Array | { subarray(): Uint8Array }): boolean {
    return this.#socket.write(bytes.subarray())
  }

  abort(): void {
    this.#socket.destroy()
  }
}

/** The yamux client is what libp2p calls the outbound side. */
export function libp2pOnSocket(socket: Socket, side: 'agent' | 'server'): Libp2pMuxer {
  const connection = new SocketConnection(socket, side === 'agent' ? 'outbound' : 'inbound')
  return yamux({ enableKeepAlive: false })().createStreamMuxer(connection as unknown as Connection)
}

/** Everything until the peer's FIN; rejects if the stream was reset. */
export async function readAllOfLibp2p(stream: Libp2pStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk.subarray())
  return Buffer.concat(chunks)
}

/** Writes with back-pressure. */
export async function writeToLibp2p(stream: Libp2pStream, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 16_384) {
    if (!stream.send(bytes.subarray(at, at + 16_384))) await stream.onDrain()
  }
}
