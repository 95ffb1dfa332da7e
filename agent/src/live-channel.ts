/** An open channel as the agent uses it: hello, welcome, what the server says later, leaving. Knows nothing of tickets or retries. */
import type tls from 'node:tls'
import {
  type AgentMessage,
  agentControlStream,
  Channel,
  type ControlStream,
  type Hello,
  NOTICE_KINDS,
  type NoticeKind,
  needsReplacement,
  replacementAge,
  type ServerMessage,
  type Welcome,
} from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import {
  CHANNEL_WEAR_CHECK_MS,
  DRAIN_END_MS,
  OPENING_TIMEOUT_MS,
  REPLACED_CHANNEL_MS,
  STREAMS_PER_CHANNEL,
} from '@postern/protocol/limits'
import type { WindowBudget } from '@postern/protocol/mux'
import type { AgentChannel, Wear } from './link.ts'
import type { LocalServer } from './local-server.ts'
import { ServedStreams } from './serve-streams.ts'

/** Something for the person at the agent; of one whose `about` is not known here nothing is said. */
export interface Notice {
  readonly about: NoticeKind
  readonly detail: string
}

export interface LiveChannelOptions {
  readonly hello: Omit<Hello, 'type'>
  readonly server: LocalServer
  /** Hears what the server has for the person at the agent. */
  readonly notice?: ((notice: Notice) => void) | undefined
  /** Shared by all channels of the process. */
  readonly budget: WindowBudget
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Uniform in [0, 1). */
  random(): number
}

/** What `parted` and the wait for `welcome` both end by. */
type Phase =
  | { readonly kind: 'greeting'; welcomed(welcome: Welcome): void; refused(fault: TunnelFault): void }
  | { readonly kind: 'open' }
  | { readonly kind: 'parted' }

export class LiveChannel implements AgentChannel {
  readonly #instanceId: string
  readonly #channel: Channel
  readonly #control: ControlStream<AgentMessage, ServerMessage>
  readonly #streams: ServedStreams
  readonly #notice: (notice: Notice) => void
  readonly #greeted: Promise<Welcome>
  #phase: Phase
  #leaving = false
  readonly #wearCheck: NodeJS.Timeout
  #wear!: (wear: Wear) => void
  #part!: (fault: TunnelFault) => void
  #end!: () => void

  /** Resolves when a successor is to be opened, while this one serves: its task wants it gone (`server-draining`), or it has grown old. */
  readonly worn: Promise<Wear>

  /**
   * Resolves when it serves no more, with the reason: `superseded`, `revoked`, `channel-lost`, `channel-closed` or
   * `protocol-violation`. Never rejects.
   */
  readonly parted: Promise<TunnelFault>

  /** Resolves when nothing of the channel is left: closed or lost. */
  readonly ended: Promise<void>

  /** @param socket as `openChannel` gave it */
  constructor(socket: tls.TLSSocket, { hello, server, notice, budget, now, random }: LiveChannelOptions) {
    this.#notice = (said) => notice?.(said)
    this.#instanceId = hello.instanceId
    this.worn = new Promise((resolve) => {
      this.#wear = resolve
    })
    this.parted = new Promise((resolve) => {
      this.#part = resolve
    })
    this.ended = new Promise((resolve) => {
      this.#end = resolve
    })
    this.#phase = { kind: 'parted' }
    this.#greeted = new Promise((welcomed, refused) => {
      this.#phase = { kind: 'greeting', welcomed, refused }
    })
    this.#streams = new ServedStreams({ server, sendFault: (message) => this.#control.send(message) })
    this.#channel = new Channel({
      socket,
      side: 'agent',
      budget,
      now,
      peerStreams: STREAMS_PER_CHANNEL,
      events: {
        streamOpened: (stream) => this.#streams.serve(stream),
        // A defect: its stream ends and nothing else, and it is shown with its stack.
        streamCrashed: ({ cause, message }) => process.emitWarning(cause instanceof Error ? cause : message),
        goAway: () => this.#over(new TunnelFault('channel-closed', 'The server said so.')),
        closed: () => {
          this.#over(new TunnelFault('channel-closed'))
          this.#end()
        },
        lost: (fault) => {
          this.#over(fault)
          this.#end()
        },
      },
    })
    this.#control = agentControlStream({
      stream: this.#channel.openControlStream(),
      now,
      message: (message) => this.#hear(message),
      ended: (fault) => {
        if (fault) this.#channel.destroy(fault)
      },
    })
    this.#control.send({ type: 'hello', ...hello })
    const longest = replacementAge(random)
    this.#wearCheck = setInterval(() => this.#checkWear(longest), CHANNEL_WEAR_CHECK_MS)
    void this.ended.then(() => clearInterval(this.#wearCheck))
  }

  /** Milliseconds of the latest ping. */
  get roundTripMs(): number | undefined {
    return this.#channel.roundTripMs
  }

  /**
   * Resolves once the server has claimed the route.
   * @throws TunnelFault what the server refused with, or why the channel ended first; `signal.reason` when aborted
   */
  async welcome(signal: AbortSignal): Promise<Welcome> {
    const deadline = AbortSignal.timeout(OPENING_TIMEOUT_MS)
    const giveUp = (): void => {
      const fault = new TunnelFault('opening-timeout', 'The server said neither welcome nor why not.')
      this.#over(signal.aborted ? new TunnelFault('channel-closed', undefined, { cause: signal.reason }) : fault)
      this.#channel.destroy(fault)
    }
    const either = AbortSignal.any([signal, deadline])
    either.addEventListener('abort', giveUp, { once: true })
    if (either.aborted) giveUp()
    try {
      return await this.#greeted
    } catch (fault) {
      throw signal.aborted ? signal.reason : fault
    } finally {
      either.removeEventListener('abort', giveUp)
    }
  }

  /**
   * Takes no further streams, lets those in flight end, closes; `ended` tells when that is done. Harmless when repeated: the
   * shortest time counts.
   * @param drainMs how long what is in flight may take
   * @param moved whether its successor stands
   */
  leave(drainMs: number, moved?: 'moved'): void {
    if (!this.#leaving) {
      this.#leaving = true
      this.#control.send({ type: 'leaving', ...(moved && { moved: true }) })
    }
    const timer = setTimeout(() => this.#channel.close(), drainMs)
    // Once the server has answered what was said after `leaving`, every stream that it opened before is here.
    void this.#channel
      .roundTrip()
      .then(() => this.#streams.idle())
      .then(() => this.#channel.close())
    void this.ended.then(() => clearTimeout(timer))
  }

  #hear(message: ServerMessage): void {
    switch (message.type) {
      case 'welcome':
        if (this.#phase.kind !== 'greeting') return
        this.#phase.welcomed(message)
        this.#phase = { kind: 'open' }
        return
      case 'refused': {
        const { fault, detail, retryAfterMs } = message
        this.#dismissed(new TunnelFault(fault, detail, retryAfterMs === undefined ? {} : { retryAfterMs }))
        return
      }
      case 'draining':
        // The server ends by then what is left, each in the way it should; only after that it is ours to do.
        this.#wear({ why: new TunnelFault('server-draining'), finishMs: message.deadlineMs + DRAIN_END_MS })
        return
      case 'superseded':
        // Our own next channel took over: that is the plan, not the end.
        if (message.byInstance !== this.#instanceId)
          this.#dismissed(new TunnelFault('superseded', `It is ${message.by ?? `instance ${message.byInstance}`}.`))
        return
      case 'revoked':
        this.#dismissed(new TunnelFault('revoked'))
        return
      case 'limit':
        return
      case 'notice': {
        const about = NOTICE_KINDS.find((kind) => kind === message.about)
        if (about !== undefined) this.#notice({ about, detail: message.detail })
      }
    }
  }

  #checkWear(longestMs: number): void {
    if (!needsReplacement(this.#channel, longestMs)) return
    clearInterval(this.#wearCheck)
    const why = new TunnelFault('channel-closed', 'It has served for long enough.')
    this.#wear({ why, finishMs: REPLACED_CHANNEL_MS + DRAIN_END_MS })
  }

  #dismissed(fault: TunnelFault): void {
    this.#over(fault)
    void this.#channel.close()
  }

  #over(fault: TunnelFault): void {
    const phase = this.#phase
    if (phase.kind === 'parted') return
    this.#phase = { kind: 'parted' }
    if (phase.kind === 'greeting') phase.refused(fault)
    this.#part(fault)
  }
}
