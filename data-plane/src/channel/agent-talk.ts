/** What a task and an agent say to one another on the control stream, each sentence once and whole. Knows nothing of what follows from it. */
import {
  type AgentMessage,
  type ControlStream,
  type Hello,
  type NoticeKind,
  refusedBy,
  type ServerMessage,
  type StreamFaultMessage,
  serverControlStream,
  type Welcome,
} from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { HEARTBEAT_MS, NOTICE_CHARACTERS } from '@postern/protocol/limits'
import type { RawStream } from '@postern/protocol/mux'

/** What is heard. */
export interface AgentTalkEvents {
  hello(hello: Hello): void
  streamFault(message: StreamFaultMessage): void
  /** `moved`: another channel of the agent stands in its place. */
  leaving(moved: boolean): void
  /** What the agent says is none of the messages, or too much. */
  unintelligible(fault: TunnelFault): void
  /** The stream ended before the channel did. */
  broken(fault: TunnelFault): void
}

/** Before the agent has opened the control stream nothing can be said to it, and is not. */
export class AgentTalk {
  readonly #now: () => number
  readonly #events: AgentTalkEvents
  #control: ControlStream<ServerMessage, AgentMessage> | undefined

  /** @param now monotonic milliseconds */
  constructor(now: () => number, events: AgentTalkEvents) {
    this.#now = now
    this.#events = events
  }

  get open(): boolean {
    return this.#control !== undefined
  }

  /** A stream to the agent was opened, of which it may say something. */
  streamOpened(): void {
    this.#control?.streamOpened()
  }

  /** The stream that the agent has opened for it. */
  begin(stream: RawStream): void {
    this.#control = serverControlStream({
      stream,
      now: this.#now,
      message: (message) => this.#hear(message),
      ended: (fault) => this.#ended(fault),
    })
  }

  welcome(welcome: Omit<Welcome, 'type' | 'heartbeatMs'>): void {
    this.#control?.send({ type: 'welcome', ...welcome, heartbeatMs: HEARTBEAT_MS })
  }

  refuse(fault: TunnelFault): void {
    this.#control?.send(refusedBy(fault))
  }

  askToMove(deadlineMs: number): void {
    this.#control?.send({ type: 'draining', deadlineMs: Math.max(0, Math.round(deadlineMs)) })
  }

  superseded(byInstance: string, by: string | undefined): void {
    this.#control?.send({ type: 'superseded', byInstance, ...(by !== undefined && { by }) })
  }

  /** Something for the person there. */
  notice(about: NoticeKind, detail: string): void {
    this.#control?.send({ type: 'notice', about, detail: detail.slice(0, NOTICE_CHARACTERS) })
  }

  revoked(): void {
    this.#control?.send({ type: 'revoked' })
  }

  #hear(message: AgentMessage): void {
    switch (message.type) {
      case 'hello':
        return this.#events.hello(message)
      case 'stream-fault':
        return this.#events.streamFault(message)
      case 'leaving':
        return this.#events.leaving(message.moved === true)
    }
  }

  #ended(fault: TunnelFault | undefined): void {
    switch (fault?.code) {
      case 'channel-closed':
      case 'channel-lost':
        // The channel's own end, which is reported by the channel.
        return
      case undefined:
      case 'stream-reset':
        return this.#events.broken(
          new TunnelFault('protocol-violation', 'The control stream ended before the channel.'),
        )
      default:
        return this.#events.unintelligible(fault!)
    }
  }
}
