/** One multiplexer with the test as its peer: frames in, frames out, everything it said written down. */
import type { TunnelFault } from '../../fault.ts'
import { Mux, type MuxOptions } from '../mux.ts'
import type { RawStream } from '../stream.ts'
import { WindowBudget } from '../window-budget.ts'
import { decode, encode, type Frame } from './slow-codec.ts'

/** A listener that remembers; `consume` decides whether it gives bytes back at once. */
export class Recorder {
  readonly chunks: Buffer[] = []
  readonly endings: string[] = []
  room = 0
  readonly stream: RawStream

  constructor(stream: RawStream, consume = true) {
    this.stream = stream
    stream.listen({
      data: (chunk) => {
        this.chunks.push(chunk)
        if (consume) stream.consume(chunk.length)
      },
      end: () => this.endings.push('end'),
      reset: (why) => this.endings.push(`reset ${why.code}`),
      writable: () => this.room++,
    })
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks)
  }
}

export class Solo {
  readonly mux: Mux
  readonly opened: Recorder[] = []
  readonly pongs: number[] = []
  readonly goAways: number[] = []
  readonly faults: TunnelFault[] = []
  readonly crashes: TunnelFault[] = []
  time = 1000
  outputReady = 0
  /** Whether streams the peer opens are consumed at once. */
  consume = true
  onOpened: (stream: RawStream) => void = (stream) => void this.opened.push(new Recorder(stream, this.consume))

  constructor(options: Partial<MuxOptions> = {}) {
    this.mux = new Mux({
      side: 'server',
      now: () => this.time,
      budget: new WindowBudget(0),
      peerStreams: 256,
      events: {
        outputReady: () => void this.outputReady++,
        streamOpened: (stream) => this.onOpened(stream),
        pong: (roundTripMs) => void this.pongs.push(roundTripMs),
        goAway: (code) => void this.goAways.push(code),
        streamCrashed: (fault) => void this.crashes.push(fault),
        violated: (fault) => void this.faults.push(fault),
      },
      ...options,
    })
  }

  receive(...frames: (Partial<Frame> & Pick<Frame, 'type'>)[]): void {
    this.mux.receive(Buffer.concat(frames.map(encode)))
  }

  /** Everything that waits, as frames. */
  sent(maxBytes = Number.POSITIVE_INFINITY): Frame[] {
    const { frames, rest } = decode(Buffer.concat(this.mux.pull(maxBytes)))
    if (rest.length > 0) throw new Error('output ends inside a frame')
    return frames
  }

  open(consume = true): Recorder {
    return new Recorder(this.mux.openStream(), consume)
  }
}

/** A frame as one short line: `data 2 syn 5`. */
export const line = (frame: Frame): string => [frame.type, frame.id, ...frame.flags, frame.length].join(' ')
