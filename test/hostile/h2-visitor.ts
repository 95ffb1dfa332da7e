/** A visitor that speaks HTTP/2 frame by frame, so that it can do what no library does. It keeps to the windows that it is given. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { frame, PREFACE } from '../../data-plane/src/testing/h2-frames.ts'
import { FLAG, number, TYPE } from './h2-frames.ts'

const SETTINGS_INITIAL_WINDOW_SIZE = 4
const DEFAULT_WINDOW_BYTES = 65_535
const LARGEST_WINDOW_BYTES = 2 ** 31 - 1
/** Of a frame, unless the peer says otherwise. */
const FRAME_BYTES = 16_384

export interface H2VisitorOptions {
  readonly port: number
  /** What may come of each response. */
  readonly window: number
  /** False: not even frames are read, and what may come of all responses is as much as can be said. */
  readonly reads?: boolean
}

export class H2Visitor {
  readonly socket: Socket
  /** RST_STREAM and GOAWAY that came. */
  readonly resets: string[] = []
  #received = Buffer.alloc(0)
  #lastId = -1
  #initialWindow = DEFAULT_WINDOW_BYTES
  readonly #windows = new Map<number, number>([[0, DEFAULT_WINDOW_BYTES]])
  #credited: (() => void) | undefined

  static async open({ port, window, reads = true }: H2VisitorOptions): Promise<H2Visitor> {
    const visitor = new H2Visitor(connect({ port, host: '127.0.0.1', noDelay: true }), reads)
    await once(visitor.socket, 'connect')
    const setting = Buffer.concat([Buffer.from([0, SETTINGS_INITIAL_WINDOW_SIZE]), number(window)])
    visitor.socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0, setting)]))
    if (!reads)
      visitor.socket.write(frame(TYPE.windowUpdate, 0, 0, number(LARGEST_WINDOW_BYTES - DEFAULT_WINDOW_BYTES)))
    return visitor
  }

  private constructor(socket: Socket, reads: boolean) {
    this.socket = socket
    socket.on('error', () => {})
    if (reads) socket.on('data', (chunk: Buffer) => this.#read(chunk))
    else socket.pause()
  }

  /** Answers its stream's id. `ended`: no body follows. */
  request(block: Buffer, ended = true): number {
    this.#lastId += 2
    const id = this.#lastId
    this.#windows.set(id, this.#initialWindow)
    this.headers(id, block, ended)
    return id
  }

  /** A block of fields: a request's head, or the trailers that end it. */
  headers(id: number, block: Buffer, ended = true): void {
    const parts: Buffer[] = []
    for (let at = 0; at < block.length; at += FRAME_BYTES) {
      const last = at + FRAME_BYTES >= block.length
      const flags = (at === 0 && ended ? FLAG.endStream : 0) | (last ? FLAG.endHeaders : 0)
      parts.push(frame(at === 0 ? TYPE.headers : TYPE.continuation, flags, id, block.subarray(at, at + FRAME_BYTES)))
    }
    this.socket.write(Buffer.concat(parts))
  }

  /** Bytes that may be sent on the stream just now. */
  room(id: number): number {
    return Math.min(FRAME_BYTES, this.#windows.get(0)!, this.#windows.get(id)!)
  }

  /** DATA, of no more than there is room for. */
  data(id: number, bytes: Buffer): Buffer {
    for (const each of [0, id]) this.#windows.set(each, this.#windows.get(each)! - bytes.length)
    return frame(TYPE.data, 0, id, bytes)
  }

  /** So many bytes more of its response may come. */
  allow(id: number, bytes: number): void {
    this.socket.write(frame(TYPE.windowUpdate, 0, id, number(bytes)))
  }

  /** Resolves when some window was credited, or after a moment without. */
  async credit(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#credited = resolve
      timer = setTimeout(resolve, 100)
    })
    clearTimeout(timer)
  }

  leave(): void {
    this.socket.resetAndDestroy()
  }

  #read(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk])
    while (this.#received.length >= 9) {
      const end = 9 + this.#received.readUIntBE(0, 3)
      if (this.#received.length < end) return
      const [type, flags, id] = [this.#received[3]!, this.#received[4]!, this.#received.readUInt32BE(5)]
      this.#take(type, flags, id, this.#received.subarray(9, end))
      this.#received = this.#received.subarray(end)
    }
  }

  #take(type: number, flags: number, id: number, payload: Buffer): void {
    const isAck = (flags & FLAG.ack) !== 0
    if (type === TYPE.settings && !isAck) this.#settings(payload)
    else if (type === TYPE.ping && !isAck) this.socket.write(frame(TYPE.ping, FLAG.ack, 0, payload))
    else if (type === TYPE.reset) this.resets.push(`RST_STREAM ${payload.readUInt32BE(0)}`)
    else if (type === TYPE.goAway) this.resets.push(`GOAWAY ${payload.readUInt32BE(4)}`)
    else if (type === TYPE.windowUpdate) {
      this.#windows.set(id, (this.#windows.get(id) ?? 0) + payload.readUInt32BE(0))
      this.#credited?.()
    }
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== SETTINGS_INITIAL_WINDOW_SIZE) continue
      const change = payload.readUInt32BE(at + 2) - this.#initialWindow
      this.#initialWindow += change
      for (const [id, window] of this.#windows) if (id !== 0) this.#windows.set(id, window + change)
    }
    this.socket.write(frame(TYPE.settings, FLAG.ack, 0))
  }
}
