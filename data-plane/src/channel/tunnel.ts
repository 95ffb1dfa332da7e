/** One agent's channel and the name it serves, from `hello` to the end. Knows nothing of how the channel was opened, nor of visitors. */

import type { Subdomain } from '@postern/protocol/address'
import {
  type AcceptedOpening,
  Channel,
  type Hello,
  type NoticeKind,
  type UpstreamProtocol,
  type VisitorRules,
} from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { HELLO_TIMEOUT_MS, HOLD_MS, REPLACED_CHANNEL_MS } from '@postern/protocol/limits'
import type { RawStream, WindowBudget } from '@postern/protocol/mux'
import { AgentNotices } from './agent-notices.ts'
import { AgentTalk } from './agent-talk.ts'
import { whoIs } from './choose-slot.ts'
import type { Claim } from './claim.ts'
import type { Yielding } from './memory-guard.ts'
import { type Parting, partingOf } from './parting.ts'
import { StreamFailures } from './stream-failures.ts'
import type { AgentTicket } from './ticket-host.ts'

/** Who has a name now, as its agent calls itself. */
export interface Successor {
  readonly instanceId: string
  readonly label?: string | undefined
}

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
  /** Its agent has another channel in its place, and it finishes what it has. */
  moved(tunnel: Tunnel): void
  /** Code of one of its streams threw; the channel goes on. */
  streamCrashed(tunnel: Tunnel, fault: TunnelFault): void
  /** It has had its time for that: what is still open is to be ended, and then the channel. */
  lastStretchOver(tunnel: Tunnel): void
  /** After everything else: the channel is over and the claim is released (or its release has failed with `release`). */
  over(
    tunnel: Tunnel,
    why: { readonly fault: TunnelFault | undefined; readonly release: TunnelFault | undefined },
  ): void
}

type Withdraw = (parting: Parting) => void

type TunnelState =
  /** `refusal`: the answer to any hello, once the right to the tunnel is gone. */
  | { readonly kind: 'greeting'; readonly deadline: NodeJS.Timeout; readonly refusal?: TunnelFault }
  | { readonly kind: 'claiming' }
  /** The channel never serves, and closes. Its claim, if there is one, is released at the end. */
  | { readonly kind: 'refused'; readonly parting: Parting }
  | { readonly kind: 'serving'; readonly claim: Claim; readonly withdraw: Withdraw }
  /** No new visitors; what is open finishes. */
  | { readonly kind: 'leaving'; readonly claim: Claim; readonly withdraw: Withdraw; readonly parting: Parting }
  | { readonly kind: 'over' }

export class Tunnel {
  readonly connId: string
  readonly ticket: AgentTicket
  readonly clientAddress: string
  /** When its token ends, as far as is known here: the ticket's word until the token is read again. */
  tokenExpiresAt: number
  /** What its route holds beside the channel. */
  besides: Pick<Yielding, 'heldBytes' | 'resetLongestStalled'> | undefined
  readonly #deps: TunnelDeps
  readonly #channel: Channel
  readonly #talk: AgentTalk
  #state: TunnelState
  /** Undefined until the agent has sent it. */
  #hello: Hello | undefined
  /** What came of its claim: undefined before there is one, and where it failed. Never rejects. */
  #claimed: Promise<Claim | undefined> = Promise.resolve(undefined)
  readonly #failures = new StreamFailures()
  readonly #notices: AgentNotices
  #streamGone: (() => void) | undefined
  /** Why we ended it, if we did. */
  #cutBy: TunnelFault | undefined
  /** Its agent was asked to open another channel elsewhere. */
  #askedToMove = false
  /** Runs while it is replaced and finishes what it has. */
  #lastStretch: NodeJS.Timeout | undefined

  constructor(opening: AcceptedOpening<AgentTicket>, deps: TunnelDeps) {
    this.connId = deps.newId()
    this.ticket = opening.ticket
    this.clientAddress = opening.clientAddress
    this.tokenExpiresAt = opening.ticket.tokenExpiresAt
    this.#deps = deps
    this.#notices = new AgentNotices(deps.now)
    const deadline = setTimeout(
      () => this.#refuse(new TunnelFault('hello-invalid', 'No hello came in time.')),
      HELLO_TIMEOUT_MS,
    )
    this.#state = { kind: 'greeting', deadline }
    this.#talk = new AgentTalk(deps.now, {
      hello: (hello) => this.#greet(hello),
      streamFault: (message) => {
        if (this.#channel.has(message.streamId)) this.#failures.note(message)
      },
      leaving: (moved) => (moved ? this.#moveOn() : this.#leave('left')),
      unintelligible: (fault) => this.#misheard(fault),
      broken: (fault) => {
        if (!this.#isOver()) this.#channel.destroy(fault)
      },
    })
    this.#channel = new Channel({
      socket: opening.socket,
      side: 'server',
      budget: deps.budget,
      tenant: opening.ticket.username,
      now: deps.now,
      peerStreams: 1,
      events: {
        streamOpened: (stream) => this.#talk.begin(stream),
        streamGone: () => this.#streamGone?.(),
        streamCrashed: (fault) => deps.events.streamCrashed(this, fault),
        goAway: () => this.#leave('left'),
        closed: () => this.#finish(undefined),
        lost: (fault) => this.#finish(fault),
      },
    })
  }

  get subdomain(): Subdomain {
    return this.ticket.subdomain
  }

  /** The table is asked for its name: it may have it already, and not know yet. */
  get claiming(): boolean {
    return this.#state.kind === 'claiming'
  }

  /** Resolves when the table has answered its claim; at once when it is asked for none. Never rejects. */
  async claimed(): Promise<void> {
    await this.#claimed
  }

  get serving(): boolean {
    return this.#state.kind === 'serving'
  }

  get instanceId(): string | undefined {
    return this.#hello?.instanceId
  }

  /** What its agent asked for in `hello`. */
  get rules(): VisitorRules {
    return this.#hello?.rules ?? {}
  }

  /** What its local server speaks; an agent that does not say so has one of HTTP/1.1. */
  get upstreamProtocol(): UpstreamProtocol {
    return this.#hello?.upstreamProtocol ?? 'http/1.1'
  }

  /** How long a request waits for the first byte of its answer, in milliseconds; Infinity: without limit, undefined: as long as usual. */
  get firstByteMs(): number | undefined {
    return this.#hello?.firstByteMs === 0 ? Infinity : this.#hello?.firstByteMs
  }

  get epoch(): number | undefined {
    return 'claim' in this.#state ? this.#state.claim.epoch : undefined
  }

  /** Whether its agent shares the name with others. */
  get pools(): boolean {
    return this.#hello?.pool === true
  }

  /** Which slot of its name it has. */
  get slot(): number | undefined {
    return 'claim' in this.#state ? this.#state.claim.slot : undefined
  }

  /** Its agent goes by this name where others hear of it. */
  get label(): string | undefined {
    return this.#hello?.label
  }

  get askedToMove(): boolean {
    return this.#askedToMove
  }

  /** How long requests may wait for the next channel of the name once this one is gone; milliseconds. */
  get holdMs(): number {
    return this.#hello?.holdMs ?? HOLD_MS
  }

  /** Bytes through the channel so far. */
  get traffic(): { readonly in: number; readonly out: number } {
    return { in: this.#channel.bytesIn, out: this.#channel.bytesOut }
  }

  /** Streams for visitors, idle ones among them. */
  get visitorStreams(): number {
    return this.#channel.streams - (this.#talk.open ? 1 : 0)
  }

  /** To the agent and back, as the latest answered ping took; milliseconds. */
  get roundTripMs(): number | undefined {
    return this.#channel.roundTripMs
  }

  /** Bytes that wait in the channel and beside it, for a visitor or for the agent. */
  get heldBytes(): number {
    return this.#channel.heldBytes + (this.besides?.heldBytes ?? 0)
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
    const { besides } = this
    const more = besides !== undefined && besides.heldBytes > this.#channel.heldBytes
    return (more && besides.resetLongestStalled()) || this.#channel.resetLongestStalled()
  }

  /** Resolves when its agent has given a sign of life, or the channel is over. */
  roundTrip(): Promise<void> {
    return this.#channel.roundTrip()
  }

  /** @throws TunnelFault `streams-exhausted`, `channel-closed` */
  openStream(): RawStream {
    const stream = this.#channel.openStream()
    this.#talk.streamOpened()
    return stream
  }

  /** Calls `run` after each stream that is gone, and so may be opened anew. One listener; a second one takes the place of the first. */
  whenStreamGone(run: () => void): void {
    this.#streamGone = run
  }

  /** Says something to the person at the agent, unless too much was said lately. */
  notify(about: NoticeKind, detail: string): void {
    if (this.#notices.admit(about, detail)) this.#talk.notice(about, detail)
  }

  /** What the agent said of a stream just before it reset it; told once. */
  takeFailure(streamId: number): { fault: TunnelFault; unsent: boolean } | undefined {
    return this.#failures.take(streamId)
  }

  /**
   * Another channel has its slot from now on. The same agent's own newer one lets this one finish what it has, for REPLACED_CHANNEL_MS at
   * the most; another agent's ends it.
   */
  replacedBy(newer: Successor): void {
    if (newer.instanceId !== this.instanceId) return this.supersededBy(newer)
    this.#moveOn()
  }

  /** Another agent has the name: final for this one. */
  supersededBy(newer: Successor): void {
    const fault = new TunnelFault('superseded', whoIs(newer))
    this.#cut(fault, fault, () => this.#talk.superseded(newer.instanceId, newer.label))
  }

  /** Asks the agent to open another channel, and to leave this one when that stands. Once; false if it serves no more, or was asked before. */
  askToMove(deadlineMs: number): boolean {
    if (this.#state.kind !== 'serving' || this.#askedToMove) return false
    this.#talk.askToMove(deadlineMs)
    this.#askedToMove = true
    return true
  }

  /** GOAWAY, a moment for what is queued, the end. An agent that was not welcomed yet is sent elsewhere. Resolves when the channel is over. */
  async close(): Promise<void> {
    const { kind } = this.#state
    if (kind === 'greeting' || kind === 'claiming') this.#refuse(new TunnelFault('server-draining'))
    this.#leave(partingOf(this.#cutBy?.code))
    await this.#channel.close()
  }

  /**
   * The right to the tunnel is gone: the agent is told, which is final for it. Streams still open are reset within
   * CLOSE_GRACE_MS, whatever the agent does. A channel without its name never gets it. Harmless when repeated.
   */
  revoke(detail: string): void {
    const fault = new TunnelFault('revoked', detail)
    this.#cut(fault, fault, () => this.#talk.revoked())
  }

  /** As `revoke`, but this channel alone ends: the agent asks for another. `why` is for the log. */
  disconnect(why: TunnelFault): void {
    this.#cut(why, new TunnelFault('ticket-refused', why.detail))
  }

  /** Puts it into the list of all tunnels again, should it be missing there. Never rejects. */
  async relist(): Promise<void> {
    if (this.#state.kind === 'serving') await this.#state.claim.relist()
  }

  /** `why` is for the log. `refusal` goes to an agent that was not welcomed yet, `tell` sends a welcomed one the reason. */
  #cut(why: TunnelFault, refusal: TunnelFault, tell?: () => void): void {
    const state = this.#state
    if (this.#cutBy !== undefined || state.kind === 'refused' || state.kind === 'over') return
    this.#cutBy = why
    switch (state.kind) {
      case 'greeting':
        // The stream for messages may not be open yet: the agent opens it with its hello.
        this.#state = { ...state, refusal }
        return
      case 'claiming':
        return this.#refuse(refusal)
      case 'serving':
      case 'leaving':
        tell?.()
        void this.close()
    }
  }

  #greet(hello: Hello): void {
    const state = this.#state
    if (state.kind === 'refused') return
    if (state.kind !== 'greeting')
      return this.#channel.destroy(new TunnelFault('protocol-violation', 'A second hello.'))
    if (state.refusal !== undefined) return this.#refuse(state.refusal)
    clearTimeout(state.deadline)
    this.#hello = hello
    this.#state = { kind: 'claiming' }
    this.#claimed = this.#claim(hello)
  }

  #misheard(fault: TunnelFault): void {
    if (this.#state.kind === 'greeting') this.#refuse(fault)
    else if (!this.#isOver()) this.#channel.destroy(fault)
  }

  async #claim(hello: Hello): Promise<Claim | undefined> {
    let claim: Claim
    try {
      claim = await this.#deps.claim(this.ticket, hello, this.connId)
    } catch (error) {
      const fault = toFault(error, 'store-unavailable')
      if (this.#state.kind === 'claiming') this.#refuse(fault)
      else this.#cutBy ??= fault
      return undefined
    }
    // Otherwise the channel has lost the name, or has ended, while the table was asked.
    if (this.#state.kind === 'claiming') this.#serve(claim)
    // The agents that this claim replaced have lost the name in any case.
    await claim.settle()
    return claim
  }

  #serve(claim: Claim): void {
    this.#state = { kind: 'serving', claim, withdraw: this.#deps.publish(this) }
    this.#talk.welcome({
      subdomain: this.subdomain,
      url: this.#deps.urlOf(this.subdomain),
      taskId: this.#deps.taskId,
      epoch: claim.epoch,
    })
    this.#deps.events.welcomed(this)
  }

  #isOver(): boolean {
    return this.#state.kind === 'over'
  }

  #refuse(fault: TunnelFault): void {
    if (this.#state.kind === 'greeting') clearTimeout(this.#state.deadline)
    this.#state = { kind: 'refused', parting: partingOf(this.#cutBy?.code) }
    this.#talk.refuse(fault)
    void this.#channel.close()
    this.#deps.events.refused(fault, this.clientAddress)
  }

  #leave(parting: Parting): void {
    if (this.#state.kind === 'claiming') this.#state = { kind: 'refused', parting }
    if (this.#state.kind !== 'serving') return
    const { claim, withdraw } = this.#state
    withdraw(parting)
    this.#state = { kind: 'leaving', claim, withdraw, parting }
  }

  /** Its agent closes it as soon as nothing is open on it any more. */
  #moveOn(): void {
    const served = this.#state.kind === 'serving'
    this.#leave('moved')
    if (!served) return
    this.#lastStretch = setTimeout(() => this.#deps.events.lastStretchOver(this), REPLACED_CHANNEL_MS)
    this.#deps.events.moved(this)
  }

  #finish(fault: TunnelFault | undefined): void {
    this.#leave(fault === undefined ? 'left' : 'lost')
    clearTimeout(this.#lastStretch)
    const state = this.#state
    if (state.kind === 'leaving') state.withdraw(state.parting)
    this.#state = { kind: 'over' }
    if (state.kind === 'greeting') clearTimeout(state.deadline)
    void this.#reportOver(fault, 'parting' in state ? state.parting : 'lost')
  }

  /** A claim that is still under way is waited for, because there is something to release. */
  async #reportOver(fault: TunnelFault | undefined, parting: Parting): Promise<void> {
    const claim = await this.#claimed
    let release: TunnelFault | undefined
    try {
      await claim?.release(parting, this.holdMs)
    } catch (error) {
      release = toFault(error, 'store-unavailable')
    }
    this.#deps.events.over(this, { fault: this.#cutBy ?? fault, release })
  }
}
