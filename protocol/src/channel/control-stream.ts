/** The control stream: one JSON object per line, each judged by its schema. Knows nothing of what the messages cause. */
import { TunnelFault } from '../fault.ts'
import { CONTROL_LINE_BYTES, CONTROL_LINES_PER_SECOND, HEARTBEAT_MS, SILENCE_MS } from '../limits.ts'
import type { RawStream } from '../mux/index.ts'
import {
  type AgentMessage,
  agentMessages,
  type MessageSchemas,
  readMessage,
  type ServerMessage,
  serverMessages,
} from './control-messages.ts'
import { LineSplitter } from './line-splitter.ts'
import { RateBucket } from './rate-bucket.ts'

/**
 * A channel survives a path that stands still for this long and then delivers everything at once, so an honest sender must
 * survive it too. A flood gains one such burst.
 */
const RECEIVE_BURST_SECONDS = Math.max(1, (HEARTBEAT_MS + SILENCE_MS) / 1000)

export interface ControlStreamOptions<Receives> {
  readonly stream: RawStream
  /** CONTROL_LINES_PER_SECOND unless told. */
  readonly linesPerSecond?: number
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** A valid message of a known type; of unknown types nothing is heard. */
  message(message: Receives): void
  /**
   * The stream is over: called once, no message follows. Undefined: the peer's orderly end. `protocol-violation` or `hello-invalid`:
   * what the peer said was wrong; `send` still works, so that it can be told before the channel ends. Otherwise why the stream was reset.
   */
  ended(fault: TunnelFault | undefined): void
}

export class ControlStream<Sends, Receives> {
  readonly #options: ControlStreamOptions<Receives>
  readonly #schemas: MessageSchemas<Receives>
  readonly #lines = new LineSplitter(CONTROL_LINE_BYTES)
  readonly #received: RateBucket
  readonly #sent: RateBucket
  #over = false
  #blocked = false

  /** Listens to the stream from now on. */
  constructor(options: ControlStreamOptions<Receives>, schemas: MessageSchemas<Receives>) {
    this.#options = options
    this.#schemas = schemas
    const { linesPerSecond = CONTROL_LINES_PER_SECOND } = options
    // In the worst second a bucket lets its burst and its rate go: half of the limit each.
    const sendRate = linesPerSecond / 2
    this.#received = new RateBucket(linesPerSecond, linesPerSecond * RECEIVE_BURST_SECONDS, options.now)
    this.#sent = new RateBucket(sendRate, sendRate, options.now)
    options.stream.listen({
      data: (chunk) => this.#read(chunk),
      end: () => this.#end(undefined),
      reset: (why) => this.#end(why),
      writable: () => {
        this.#blocked = false
      },
    })
  }

  /** False: not sent, because the peer does not read, or because it would be too many a second. */
  send(message: Sends): boolean {
    if (this.#blocked || !this.#sent.take()) return false
    this.#blocked = !this.#options.stream.write(Buffer.from(`${JSON.stringify(message)}\n`))
    return true
  }

  /** No further message (FIN). */
  end(): void {
    this.#options.stream.end()
  }

  #read(chunk: Buffer): void {
    this.#options.stream.consume(chunk.length)
    if (this.#over) return
    for (const line of this.#lines.push(chunk)) {
      const read = this.#received.take() ? readMessage(line, this.#schemas) : { fault: tooMany() }
      if (read.fault) return this.#end(read.fault)
      if (read.message !== undefined) this.#options.message(read.message)
      // The message may have ended the channel, and this stream with it.
      if (this.#over) return
    }
    if (this.#lines.overlong) this.#end(tooLong())
  }

  #end(fault: TunnelFault | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#options.ended(fault)
  }
}

const tooMany = (): TunnelFault =>
  new TunnelFault('protocol-violation', 'More control lines a second than there may be.')

const tooLong = (): TunnelFault =>
  new TunnelFault('protocol-violation', `A control line is longer than ${CONTROL_LINE_BYTES} bytes.`)

/** The control stream as the server holds it: the first stream that the agent opened. */
export const serverControlStream = (
  options: ControlStreamOptions<AgentMessage>,
): ControlStream<ServerMessage, AgentMessage> => new ControlStream(options, agentMessages)

/** The control stream as the agent holds it: the first stream that it opens. */
export const agentControlStream = (
  options: ControlStreamOptions<ServerMessage>,
): ControlStream<AgentMessage, ServerMessage> => new ControlStream(options, serverMessages)
