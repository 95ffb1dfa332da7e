/** The control stream: one JSON object per line, each judged by its schema. Knows nothing of what the messages cause. */
import type { TunnelFault } from '../fault.ts'
import type { RawStream } from '../mux/stream.ts'
import type { AgentMessage, ServerMessage } from './control-messages.ts'

export interface ControlStreamOptions<Receives> {
  readonly stream: RawStream
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** A valid message of a known type. */
  message(message: Receives): void
  /** The stream is over: `undefined` after the peer's orderly end, `protocol-violation` or `hello-invalid` if what it said was wrong. Called once; nothing follows. */
  ended(fault: TunnelFault | undefined): void
}

export declare class ControlStream<Sends extends { type: string }, Receives> {
  constructor(options: ControlStreamOptions<Receives>)
  /** False: not sent, because the peer does not read or more than CONTROL_LINES_PER_SECOND would have gone. */
  send(message: Sends): boolean
  /** No further message (FIN). */
  end(): void
}

/** The control stream as the server holds it: the first stream that the agent opened. */
export declare function serverControlStream(
  options: ControlStreamOptions<AgentMessage>,
): ControlStream<ServerMessage, AgentMessage>

/** The control stream as the agent holds it: the first stream that it opens. */
export declare function agentControlStream(
  options: ControlStreamOptions<ServerMessage>,
): ControlStream<AgentMessage, ServerMessage>
