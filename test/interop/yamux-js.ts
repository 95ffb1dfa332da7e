/** `yamux-js` 0.2.0 fed with frames by hand: what it emits, what it sends, how it fails. */
import type { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { Client, Server } from 'yamux-js'
import { decode, encode, type Frame } from '../../protocol/src/mux/testing/slow-codec.ts'

type Sent = Partial<Frame> & Pick<Frame, 'type'>
type Session = InstanceType<typeof Client>

const quiet = { enableKeepAlive: false, logger: () => {} }

export class YamuxJs {
  readonly session: Session
  readonly opened: Duplex[] = []
  /** Everything each opened stream delivered, and the events that ended it. */
  readonly heard: { bytes: Buffer; events: string[] }[] = []
  readonly errors: Error[] = []
  readonly #sent: Buffer[] = []

  constructor(side: 'client' | 'server', read = true) {
    const accept = (stream: Duplex) => {
      this.opened.push(stream)
      if (read) this.heard.push(listenTo(stream))
    }
    this.session = side === 'server' ? new Server(accept, quiet) : new Client(quiet)
    this.session.on('data', (bytes: Buffer) => this.#sent.push(bytes))
    this.session.on('error', (error) => this.errors.push(error))
  }

  /** Opens a stream and hears it. */
  open() {
    const stream = this.session.open()
    const heard = listenTo(stream)
    return { stream, events: heard.events, received: () => heard.bytes.length }
  }

  async receive(...frames: Sent[]): Promise<void> {
    await this.bytes(Buffer.concat(frames.map(encode)))
  }

  async bytes(...chunks: Buffer[]): Promise<void> {
    for (const chunk of chunks) this.session.write(chunk)
    await turn()
    await turn()
  }

  /** What it sent since the last call, as frames. */
  async sent(): Promise<Frame[]> {
    await turn()
    return decode(Buffer.concat(this.#sent.splice(0))).frames
  }
}

function listenTo(stream: Duplex): { bytes: Buffer; events: string[] } {
  const heard = { bytes: Buffer.alloc(0), events: [] as string[] }
  stream.on('data', (chunk) => (heard.bytes = Buffer.concat([heard.bytes, chunk])))
  for (const event of ['end', 'close', 'error']) stream.on(event, () => heard.events.push(event))
  return heard
}
