/** The control stream: one JSON object per line, each judged by its schema. */
import { TunnelFault } from '../fault.ts'
import { CONTROL_LINE_BYTES, CONTROL_LINES_PER_SECOND, EARNED_ANSWERS, HEARTBEAT_MS, SILENCE_MS } from '../limits.ts'
import type { RawStream } from '../mux/index.ts'
import {
  type AgentMessage,
  agentMessages,
  type MessageSchemas,
  type ReadMessage,
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
  /** Lines that the peer may send besides those that answer streams; CONTROL_LINES_PER_SECOND by default. */
  readonly linesPerSecond?: number
  /** Whether the message is about a stream that this side has opened. There may be one for each call of `streamOpened`. */
  answersStream?(message: Receives): boolean
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** A valid message of a known type; of unknown types nothing is heard. */
  message(message: Receives): void
  /**
   * The stream is over: called once, no message follows. Undefined: the peer's orderly end. `protocol-violation` or `hello-invalid`:
   * what the peer sent was wrong; `send` still works, so that the channel can end with a refusal. Otherwise why the stream was reset.
   */
  ended(fault: TunnelFault | undefined): void
}

export class ControlStream<Sends, Receives> {
  readonly #options: ControlStreamOptions<Receives>
  readonly #schemas: MessageSchemas<Receives>
  readonly #lines = new LineSplitter(CONTROL_LINE_BYTES)
  readonly #others: RateBucket
  /** Messages about streams that may still come. */
  #answers = 0
  #over = false

  /** Listens to the stream from now on. */
  constructor(options: ControlStreamOptions<Receives>, schemas: MessageSchemas<Receives>) {
    this.#options = options
    this.#schemas = schemas
    const { linesPerSecond = CONTROL_LINES_PER_SECOND } = options
    this.#others = new RateBucket(linesPerSecond, linesPerSecond * RECEIVE_BURST_SECONDS, options.now)
    options.stream.listen({
      data: (chunk) => this.#read(chunk),
      end: () => this.#end(undefined),
      reset: (why) => this.#end(why),
      writable: () => {},
    })
  }

  /**
   * Nothing is dropped. What waits for the peer is bounded by what there is to say: a message about a stream goes with its reset, which waits behind
   * it and keeps the stream's place; all others are few in the life of a channel.
   */
  send(message: Sends): void {
    this.#options.stream.write(Buffer.from(`${JSON.stringify(message)}\n`))
  }

  /** This side has opened a stream, of which the peer may say something. */
  streamOpened(): void {
    if (this.#answers < EARNED_ANSWERS) this.#answers++
  }

  /** No further message (FIN). */
  end(): void {
    this.#options.stream.end()
  }

  #read(chunk: Buffer): void {
    this.#options.stream.consume(chunk.length)
    if (this.#over) return
    for (const line of this.#lines.push(chunk)) {
      const read = this.#readLine(line)
      if (read.fault) return this.#end(read.fault)
      if (read.message !== undefined) this.#options.message(read.message)
      // The message may have ended the channel, and this stream with it.
      if (this.#over) return
    }
    if (this.#lines.overlong) this.#end(tooLong())
  }

  /** Each line is charged once, before it is read if it cannot be an answer. */
  #readLine(line: Buffer): ReadMessage<Receives> {
    const mayAnswer = this.#answers > 0
    if (!mayAnswer && !this.#others.take()) return { fault: tooMany() }
    const read = readMessage(line, this.#schemas)
    if (!mayAnswer || read.fault !== undefined) return read
    if (read.message !== undefined && this.#options.answersStream?.(read.message)) this.#answers--
    else if (!this.#others.take()) return { fault: tooMany() }
    return read
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
  options: Omit<ControlStreamOptions<AgentMessage>, 'answersStream'>,
): ControlStream<ServerMessage, AgentMessage> =>
  new ControlStream({ ...options, answersStream: ({ type }) => type === 'stream-fault' }, agentMessages)

/** The control stream as the agent holds it: the first stream that it opens. */
export const agentControlStream = (
  options: ControlStreamOptions<ServerMessage>,
): ControlStream<AgentMessage, ServerMessage> => new ControlStream(options, serverMessages)
