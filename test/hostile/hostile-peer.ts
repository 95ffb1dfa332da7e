/** A peer that holds a proven key and says what it likes. Reads just enough of the answers to know what was judged. Written from the specification of yamux, not with the project's own codec. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { openChannel } from '@postern/protocol/channel'
import type { ChannelTicket } from '@postern/protocol/ticket'

export const Type = { data: 0, windowUpdate: 1, ping: 2, goAway: 3 } as const
export const Flag = { none: 0, syn: 1, ack: 2, fin: 4, rst: 8 } as const
const HEADER_BYTES = 12

/** One frame; `length` is that of the payload unless told otherwise, and nothing is checked. */
export function frame(
  type: number,
  flags: number,
  id: number,
  payload: Buffer | number = 0,
  { version = 0, length }: { version?: number; length?: number } = {},
): Buffer {
  const body = typeof payload === 'number' ? Buffer.alloc(0) : payload
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt8(version, 0)
  header.writeUInt8(type, 1)
  header.writeUInt16BE(flags, 2)
  header.writeUInt32BE(id, 4)
  header.writeUInt32BE(length ?? (typeof payload === 'number' ? payload : body.length), 8)
  return Buffer.concat([header, body])
}

export class HostilePeer {
  /** What the server said on the control stream so far. */
  control = ''
  readonly #socket: TLSSocket
  readonly #watches = new Set<() => void>()
  readonly #pongs = new Set<number>()
  /** Streams that the server has opened. */
  readonly #opened = new Set<number>()
  #unread = Buffer.alloc(0)
  #wentAway = false
  #ended = false

  /** @throws TunnelFault as `openChannel` does */
  static async open(ticket: ChannelTicket): Promise<HostilePeer> {
    const socket = connect({ host: ticket.host, port: ticket.port, noDelay: true })
    await once(socket, 'connect')
    return new HostilePeer((await openChannel(socket, ticket)).socket)
  }

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('error', () => {
      // Being thrown out is what this peer is for; 'close' tells.
    })
    socket.on('close', () => {
      this.#ended = true
      this.#look()
    })
  }

  /** In one write for each piece. */
  send(...pieces: Buffer[]): void {
    for (const piece of pieces) this.#socket.write(piece)
  }

  /** Whether everything sent so far was judged and the channel goes on: a ping was answered behind it. False: it ended first. */
  async survives(withinMs: number): Promise<boolean> {
    const nonce = (Math.random() * 2 ** 32) >>> 0
    this.send(frame(Type.ping, Flag.syn, 0, nonce))
    return await this.#until(() => (this.#pongs.has(nonce) ? true : this.over ? false : undefined), withinMs)
  }

  /** Resolves when the server has said GOAWAY or ended the connection. */
  async dismissed(withinMs: number): Promise<void> {
    await this.#until(() => this.over || undefined, withinMs)
  }

  async hears(text: string, withinMs: number): Promise<void> {
    await this.#until(() => this.control.includes(text) || undefined, withinMs)
  }

  /** The id of a stream that the server has opened. */
  async visited(withinMs: number): Promise<number> {
    return await this.#until(() => [...this.#opened][0], withinMs)
  }

  get over(): boolean {
    return this.#wentAway || this.#ended
  }

  leave(by: 'FIN' | 'RST'): void {
    if (by === 'FIN') this.#socket.end()
    else this.#socket.destroy()
  }

  #until<T>(seen: () => T | undefined, withinMs: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#watches.delete(look)
        reject(new Error(`nothing came of it within ${withinMs} ms; the control stream said ${this.control}`))
      }, withinMs)
      const look = (): void => {
        const found = seen()
        if (found === undefined) return
        clearTimeout(timer)
        this.#watches.delete(look)
        resolve(found)
      }
      this.#watches.add(look)
      look()
    })
  }

  #look(): void {
    for (const look of [...this.#watches]) look()
  }

  #read(chunk: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, chunk])
    for (;;) {
      if (this.#unread.length < HEADER_BYTES) break
      const type = this.#unread.readUInt8(1)
      const length = this.#unread.readUInt32BE(8)
      const bytes = HEADER_BYTES + (type === Type.data ? length : 0)
      if (this.#unread.length < bytes) break
      this.#hear(type, this.#unread.readUInt16BE(2), this.#unread.readUInt32BE(4), this.#unread.subarray(0, bytes))
      this.#unread = this.#unread.subarray(bytes)
    }
    this.#look()
  }

  #hear(type: number, flags: number, id: number, bytes: Buffer): void {
    if (type === Type.goAway) this.#wentAway = true
    else if (type === Type.ping && flags === Flag.ack) this.#pongs.add(bytes.readUInt32BE(8))
    else if (type === Type.data && id === 1) this.control += bytes.toString('latin1', HEADER_BYTES)
    if (id > 0 && id % 2 === 0 && flags & Flag.syn) this.#opened.add(id)
  }
}
