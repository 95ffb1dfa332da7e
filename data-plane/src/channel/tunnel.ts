/** One agent's channel and the name it serves, from `hello` to the end. Knows nothing of how the channel was opened, nor of visitors. */

import type { Subdomain } from '@postern/protocol/address'
import {
  type AcceptedOpening,
  type AgentMessage,
  Channel,
  type ControlStream,
  type Hello,
  type ServerMessage,
  type StreamFaultMessage,
  serverControlStream,
  type UpstreamProtocol,
  type VisitorRules,
} from '@postern/protocol/channel'
import { type FaultCode, TunnelFault, toFault } from '@postern/protocol/fault'
import { HEARTBEAT_MS, HELLO_TIMEOUT_MS, HOLD_MS, STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import type { RawStream, WindowBudget } from '@postern/protocol/mux'
import type { AgentTicket } from './ticket-host.ts'

/** A name held in the table for one channel; `release` lets it go and is harmless when repeated or late. */
export interface Claim {
  readonly epoch: number
  release(): Promise<void>
  /** Makes sure that the tunnel is in the list of all tunnels. Never rejects. */
  relist(): Promise<void>
}

/**
 * How a tunnel goes: `lost` by itself, and its agent is about to come back; `left` as its agent said, which is stopped or started anew;
 * `dismissed` because the right to it is gone.
 */
export type Parting = 'lost' | 'left' | 'dismissed'

export interface TunnelDeps {
  readonly taskId: string
  readonly budget: WindowBudget
  /** Monotonic milliseconds. */
  now(): number
  /** Takes the name for this channel. Rejects with the fault that the agent is refused with. */
  claim(ticket: AgentTicket, hello: Hello, connId: string): Promise<Claim>
  /** Lets visitors in; returns the removal, which is called again when nothing is left of the channel. Called once the name is claimed. */
  publish(tunnel: Tunnel): (parting: Parting) => void
  /** Where visitors reach the name. */
  urlOf(subdomain: string): string
  newId(): string
  readonly events: TunnelEvents
}

export interface TunnelEvents {
  welcomed(tunnel: Tunnel): void
  /** Instead of being welcomed; `over` follows. `address` is the agent's. */
  refused(fault: TunnelFault, address: string | undefined): void
  /** After everything else: the channel is over and the claim is released (or its release has failed with `release`). */
  over(
    tunnel: Tunnel,
    why: { readonly fault: TunnelFault | undefined; readonly release: TunnelFault | undefined },
  ): void
}

type Withdraw = (parting: Parting) => void

type TunnelState =
  | { readonly kind: 'greeting'; readonly deadline: NodeJS.Timeout }
  | { readonly kind: 'claiming'; readonly hello: Hello }
  /** Told so; the channel closes. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'serving'; readonly hello: Hello; readonly claim: Claim; readonly withdraw: Withdraw }
  /** No new visitors; what is open finishes. */
  | {
      readonly kind: 'leaving'
      readonly hello: Hello
      readonly claim: Claim
      readonly withdraw: Withdraw
      readonly parting: Parting
    }
  | { readonly kind: 'over' }

/** An agent that hears one of these, or meets it when it asks for its next ticket, does not come back. */
const GONE_FOR_GOOD: ReadonlySet<FaultCode | undefined> = new Set<FaultCode>(['revoked', 'token-expired'])

export class Tunnel {
  readonly connId: string
  readonly ticket: AgentTicket
  readonly clientAddress: string
  /** When its token ends, as far as is known here: the ticket's word until the token is read again. */
  tokenExpiresAt: number
  readonly #deps: TunnelDeps
  readonly #channel: Channel
  #control: ControlStream<ServerMessage, AgentMessage> | undefined
  #state: TunnelState
  /** What the agent said of streams that it is about to reset; as many as there can be streams. */
  readonly #failures = new Map<number, StreamFaultMessage>()
  /** Why we ended it, if we did. */
  #cutBy: TunnelFault | undefined

  constructor(opening: AcceptedOpening<AgentTicket>, deps: TunnelDeps) {
    this.connId = deps.newId()
    this.ticket = opening.ticket
    this.clientAddress = opening.clientAddress
    this.tokenExpiresAt = opening.ticket.tokenExpiresAt
    this.#deps = deps
    const deadline = setTimeout(
      () => this.#refuse(new TunnelFault('hello-invalid', 'No hello came in time.')),
      HELLO_TIMEOUT_MS,
    )
    this.#state = { kind: 'greeting', deadline }
    this.#channel = new Channel({
      socket: opening.socket,
      side: 'server',
      budget: deps.budget,
      now: deps.now,
      peerStreams: 1,
      events: {
        streamOpened: (stream) => this.#controlOpened(stream),
        goAway: () => this.#leave('left'),
        closed: () => this.#finish(undefined),
        lost: (fault) => this.#finish(fault),
      },
    })
  }

  get subdomain(): Subdomain {
    return this.ticket.subdomain
  }

  get serving(): boolean {
    return this.#state.kind === 'serving'
  }

  get instanceId(): string | undefined {
    return 'hello' in this.#state ? this.#state.hello.instanceId : undefined
  }

  /** What its agent asked for in `hello`. */
  get rules(): VisitorRules {
    return 'hello' in this.#state ? this.#state.hello.rules : {}
  }

  /** What its local server speaks; an agent that does not say so has one of HTTP/1.1. */
  get upstreamProtocol(): UpstreamProtocol {
    return ('hello' in this.#state ? this.#state.hello.upstreamProtocol : undefined) ?? 'http/1.1'
  }

  get epoch(): number | undefined {
    return 'claim' in this.#state ? this.#state.claim.epoch : undefined
  }

  /** How long requests may wait for the next channel of the name once this one is gone; milliseconds. */
  get holdMs(): number {
    return ('hello' in this.#state ? this.#state.hello.holdMs : undefined) ?? HOLD_MS
  }

  /** Bytes through the channel so far. */
  get traffic(): { readonly in: number; readonly out: number } {
    return { in: this.#channel.bytesIn, out: this.#channel.bytesOut }
  }

  /** Streams for visitors, idle ones among them. */
  get visitorStreams(): number {
    return this.#channel.streams - (this.#control === undefined ? 0 : 1)
  }

  /** To the agent and back, as the latest answered ping took; milliseconds. */
  get roundTripMs(): number | undefined {
    return this.#channel.roundTripMs
  }

  /** Bytes from the agent that no visitor has taken yet. */
  get heldBytes(): number {
    return this.#channel.heldBytes
  }

  /** Its user, who answers for what it holds. */
  get tenant(): string {
    return this.ticket.username
  }

  get refusing(): boolean {
    return this.#channel.refusing
  }

  set refusing(refusing: boolean) {
    this.#channel.refusing = refusing
  }

  resetLongestStalled(): boolean {
    return this.#channel.resetLongestStalled()
  }

  /** @throws TunnelFault `streams-exhausted`, `channel-closed` */
  openStream(): RawStream {
    return this.#channel.openStream()
  }

  /** What the agent said of a stream just before it reset it; told once. */
  takeFailure(streamId: number): { fault: TunnelFault; unsent: boolean } | undefined {
    const message = this.#failures.get(streamId)
    if (message === undefined) return undefined
    this.#failures.delete(streamId)
    return { fault: new TunnelFault(message.fault), unsent: message.unsent }
  }

  /** Another channel serves the name from now on. The same agent's own newer one lets this one finish; another agent's ends it. */
  replacedBy(newer: Tunnel): void {
    if (newer.instanceId !== undefined && newer.instanceId !== this.instanceId) {
      this.#control?.send({ type: 'superseded', byInstance: newer.instanceId })
    }
    void this.close()
  }

  /** GOAWAY, a moment for what is queued, the end. Resolves when the channel is over. */
  async close(): Promise<void> {
    this.#leave(GONE_FOR_GOOD.has(this.#cutBy?.code) ? 'dismissed' : 'lost')
    await this.#channel.close()
  }

  /**
   * The right to the tunnel is gone: the agent is told, which is final for it. Streams still open are reset within
   * CLOSE_GRACE_MS, whatever the agent does. Only of a channel that has its name; otherwise, and when repeated, nothing.
   */
  revoke(detail: string): void {
    this.#cut(new TunnelFault('revoked', detail))
  }

  /** As `revoke`, but this channel alone ends: the agent asks for another. `why` is for the log. */
  disconnect(why: TunnelFault): void {
    this.#cut(why)
  }

  /** Puts it into the list of all tunnels again, should it be missing there. Never rejects. */
  async relist(): Promise<void> {
    if (this.#state.kind === 'serving') await this.#state.claim.relist()
  }

  #cut(why: TunnelFault): void {
    if (this.#cutBy !== undefined || (this.#state.kind !== 'serving' && this.#state.kind !== 'leaving')) return
    this.#cutBy = why
    if (why.code === 'revoked') this.#control?.send({ type: 'revoked' })
    void this.close()
  }

  #controlOpened(stream: RawStream): void {
    this.#control = serverControlStream({
      stream,
      now: this.#deps.now,
      message: (message) => this.#hear(message),
      ended: (fault) => this.#controlEnded(fault),
    })
  }

  #hear(message: AgentMessage): void {
    switch (message.type) {
      case 'hello':
        if (this.#state.kind === 'greeting') void this.#claim(this.#state.deadline, message)
        else if (this.#state.kind !== 'refused')
          this.#channel.destroy(new TunnelFault('protocol-violation', 'A second hello.'))
        return
      case 'stream-fault':
        return this.#noteFailure(message)
      case 'leaving':
        this.#leave('left')
        return
    }
  }

  /** Of a stream that nobody asks about any more the note stays behind, until newer ones push it out. */
  #noteFailure(message: StreamFaultMessage): void {
    this.#failures.set(message.streamId, message)
    if (this.#failures.size <= STREAMS_PER_CHANNEL) return
    const [oldest] = this.#failures.keys()
    this.#failures.delete(oldest!)
  }

  #controlEnded(fault: TunnelFault | undefined): void {
    if (this.#isOver()) return
    switch (fault?.code) {
      case 'channel-closed':
      case 'channel-lost':
        // The channel's own end, which is reported by the channel.
        return
      case undefined:
      case 'stream-reset':
        return this.#channel.destroy(
          new TunnelFault('protocol-violation', 'The control stream ended before the channel.'),
        )
      default:
        if (this.#state.kind === 'greeting') this.#refuse(fault!)
        else this.#channel.destroy(fault!)
    }
  }

  async #claim(deadline: NodeJS.Timeout, hello: Hello): Promise<void> {
    clearTimeout(deadline)
    this.#state = { kind: 'claiming', hello }
    let claim: Claim
    try {
      claim = await this.#deps.claim(this.ticket, hello, this.connId)
    } catch (error) {
      const fault = toFault(error, 'store-unavailable')
      if (this.#isOver()) await this.#reportOver(undefined, fault)
      else this.#refuse(fault)
      return
    }
    // The channel may have ended while the table was asked; the claim must not outlive it.
    if (this.#isOver())
      return this.#reportOver(claim, new TunnelFault('channel-lost', 'The channel ended while its name was claimed.'))
    this.#state = { kind: 'serving', hello, claim, withdraw: this.#deps.publish(this) }
    this.#control?.send({
      type: 'welcome',
      subdomain: this.subdomain,
      url: this.#deps.urlOf(this.subdomain),
      taskId: this.#deps.taskId,
      epoch: claim.epoch,
      heartbeatMs: HEARTBEAT_MS,
    })
    this.#deps.events.welcomed(this)
  }

  #isOver(): boolean {
    return this.#state.kind === 'over'
  }

  #refuse(fault: TunnelFault): void {
    if (this.#state.kind === 'greeting') clearTimeout(this.#state.deadline)
    this.#state = { kind: 'refused' }
    this.#control?.send({
      type: 'refused',
      fault: fault.code,
      ...(fault.detail === undefined ? {} : { detail: fault.detail }),
      ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
    })
    void this.#channel.close()
    this.#deps.events.refused(fault, this.clientAddress)
  }

  #leave(parting: Parting): void {
    if (this.#state.kind !== 'serving') return
    const { hello, claim, withdraw } = this.#state
    withdraw(parting)
    this.#state = { kind: 'leaving', hello, claim, withdraw, parting }
  }

  #finish(fault: TunnelFault | undefined): void {
    this.#leave(fault === undefined ? 'left' : 'lost')
    const state = this.#state
    if (state.kind === 'leaving') state.withdraw(state.parting)
    const why = this.#cutBy ?? fault
    this.#state = { kind: 'over' }
    if (state.kind === 'greeting') clearTimeout(state.deadline)
    // A claim that is still under way reports the end itself, because it has something to release.
    if (state.kind !== 'claiming') void this.#reportOver(state.kind === 'leaving' ? state.claim : undefined, why)
  }

  async #reportOver(claim: Claim | undefined, fault: TunnelFault | undefined): Promise<void> {
    let release: TunnelFault | undefined
    try {
      await claim?.release()
    } catch (error) {
      release = toFault(error, 'store-unavailable')
    }
    this.#deps.events.over(this, { fault, release })
  }
}
