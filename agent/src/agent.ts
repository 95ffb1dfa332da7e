/** Keeps one tunnel open: asks for tickets, dials, waits, dials again, as `agent-state` says. Knows nothing of terminals or processes. */
import type { Account, TicketRequest } from '@postern/protocol/api'
import { IpNotAllowedFault, type Welcome } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { AGENT_DRAIN_MS } from '@postern/protocol/limits'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { type AgentEvent, type AgentState, FIRST_STATE, step } from './agent-state.ts'

/** An open channel, as far as the loop is concerned (see `LiveChannel`). */
export interface AgentChannel {
  /** Resolves when another channel is needed, with the reason. */
  readonly parted: Promise<TunnelFault>
  /** Resolves when nothing is left of it. */
  readonly ended: Promise<void>
  leave(drainMs: number): void
}

export interface AgentOptions {
  /** Undefined: names are drawn until one is free. */
  readonly subdomain: string | undefined
  /** Whether to go on if the very first attempts lead nowhere. */
  readonly patient: boolean
  readonly control: {
    account(signal: AbortSignal): Promise<Account>
    ticket(request: TicketRequest, signal: AbortSignal): Promise<ChannelTicket>
  }
  dial(ticket: ChannelTicket, signal: AbortSignal): Promise<{ channel: AgentChannel; welcome: Welcome }>
  drawName(): string
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Uniform in [0, 1). */
  random(): number
  /** Resolves after so many milliseconds, or at once when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
  /** Hears every change of state; `welcome` stands while online. */
  report(state: AgentState, welcome: Welcome | undefined): void
}

/** A random name is one of some ten thousand: five draws in a row that are taken mean something else is wrong. */
const DRAWS = 5

export class Agent {
  readonly #options: AgentOptions
  readonly #stopping = new AbortController()
  /** Resolves when told to stop. */
  readonly #stopped: Promise<undefined>
  /** The one online, and those that drain beside it. */
  readonly #channels = new Set<AgentChannel>()
  #state: AgentState = FIRST_STATE
  #username: string | undefined
  /** The name that is ours; a drawn one once a ticket was given for it. */
  #name: string | undefined

  constructor(options: AgentOptions) {
    this.#options = options
    this.#name = options.subdomain
    this.#stopped = new Promise((resolve) => {
      this.#stopping.signal.addEventListener('abort', () => resolve(undefined))
    })
  }

  /**
   * Runs until told to stop (undefined) or until the server has said its last word (that fault), and until nothing is left
   * of any channel. Never rejects. Called once.
   */
  async run(): Promise<TunnelFault | undefined> {
    const { signal } = this.#stopping
    let channel: AgentChannel | undefined
    this.#options.report(this.#state, undefined)
    while (true) {
      const state = this.#state
      switch (state.kind) {
        case 'opening':
          channel = await this.#open(state.observation, signal)
          break
        case 'online':
          await this.#part(channel!)
          break
        case 'waiting':
          await this.#options.sleep(state.delayMs, signal)
          this.#advance(signal.aborted ? { kind: 'stopped' } : { kind: 'waited' })
          break
        case 'ended':
          await this.#leaveAll(AGENT_DRAIN_MS)
          return state.why
      }
    }
  }

  /** Lets what is in flight end within `drainMs`, and makes `run` resolve then. Harmless when repeated; a shorter time counts. */
  stop(drainMs: number): void {
    this.#stopping.abort(new TunnelFault('channel-closed', 'The agent was told to stop.'))
    void this.#leaveAll(drainMs)
  }

  async #leaveAll(drainMs: number): Promise<void> {
    for (const channel of this.#channels) channel.leave(drainMs)
    await Promise.all([...this.#channels].map((channel) => channel.ended))
  }

  async #open(observation: string | undefined, signal: AbortSignal): Promise<AgentChannel | undefined> {
    const { dial, now } = this.#options
    let ticket: ChannelTicket | undefined
    try {
      ticket = await this.#ticket(observation, signal)
      const { channel, welcome } = await dial(ticket, signal)
      this.#channels.add(channel)
      void channel.ended.then(() => this.#channels.delete(channel))
      signal.throwIfAborted()
      this.#advance({ kind: 'opened', at: now() }, welcome)
      return channel
    } catch (error) {
      if (signal.aborted) this.#advance({ kind: 'stopped' })
      else if (error instanceof IpNotAllowedFault && ticket) this.#advance(mismatch(error, ticket))
      else this.#advance({ kind: 'failed', fault: toFault(error) })
      return undefined
    }
  }

  async #part(channel: AgentChannel): Promise<void> {
    const fault = await Promise.race([channel.parted, this.#stopped])
    this.#advance(fault ? { kind: 'parted', fault, at: this.#options.now() } : { kind: 'stopped' })
  }

  async #ticket(observation: string | undefined, signal: AbortSignal): Promise<ChannelTicket> {
    const { control, subdomain, drawName } = this.#options
    this.#username ??= (await control.account(signal)).username
    const asked = { username: this.#username, ...(observation !== undefined && { observation }) }
    if (subdomain !== undefined) return control.ticket({ ...asked, subdomain }, signal)
    for (let draw = 1; ; draw += 1) {
      const name = this.#name ?? drawName()
      try {
        const ticket = await control.ticket({ ...asked, subdomain: name, ephemeral: true }, signal)
        this.#name = name
        return ticket
      } catch (error) {
        // A name that was ours and is not any more is news for the person, not for the dice.
        const redraw = toFault(error).code === 'subdomain-taken' && this.#name === undefined && draw < DRAWS
        if (!redraw) throw error
      }
    }
  }

  #advance(event: AgentEvent, welcome?: Welcome): void {
    const { random, patient, report } = this.#options
    const before = this.#state
    this.#state = step(before, event, { random, patient })
    if (this.#state !== before) report(this.#state, welcome)
  }
}

/** The channel server knows what it saw, the ticket what the control plane saw; a person needs both. */
function mismatch(fault: IpNotAllowedFault, ticket: ChannelTicket): AgentEvent {
  const detail = `The control plane saw ${ticket.seenIp}, the channel server saw ${fault.seenIp}.`
  const both = new TunnelFault('ip-not-allowed', detail, { cause: fault })
  return { kind: 'failed', fault: both, observation: fault.observation }
}
