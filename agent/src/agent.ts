/** Keeps a tunnel open over one or several links: its name, its tickets, and what its links are together. Knows nothing of terminals or processes. */
import type { Account, TicketRequest } from '@postern/protocol/api'
import { IpNotAllowedFault, type Welcome } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { type AgentState, isServing } from './agent-state.ts'
import { type AgentChannel, Link, type LinkOptions, type Opened, type Wear } from './link.ts'

/** How the links stand together. */
export type AgentReport =
  | { readonly kind: 'opening' }
  /** `connections`: so many of the links have a channel. */
  | { readonly kind: 'online'; readonly welcome: Welcome; readonly connections: number }
  | { readonly kind: 'waiting'; readonly why: TunnelFault; readonly delayMs: number }
  /** `why` is undefined if we were told to stop. */
  | { readonly kind: 'ended'; readonly why: TunnelFault | undefined }

/** Which channel is asked for. */
export interface Wanted {
  readonly slot: number
  /** Tasks that it would rather not have. */
  readonly unwanted: ReadonlySet<string>
}

export interface AgentOptions {
  /** Undefined: names are drawn until one is free. */
  readonly subdomain: string | undefined
  /** How many channels to keep open. */
  readonly connections: number
  /** Whether to go on if the very first attempts lead nowhere. */
  readonly patient: boolean
  readonly control: {
    account(signal: AbortSignal): Promise<Account>
    ticket(request: TicketRequest, signal: AbortSignal): Promise<ChannelTicket>
  }
  dial(ticket: ChannelTicket, wanted: Wanted, signal: AbortSignal): Promise<{ channel: AgentChannel; welcome: Welcome }>
  drawName(): string
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Shared with the other tunnels of the process. */
  readonly backoff: LinkOptions['backoff']
  /** Hears every change. */
  report(report: AgentReport): void
}

/** A random name is one of some ten thousand: five draws in a row that are taken mean something else is wrong. */
const DRAWS = 5

interface LinkView {
  readonly link: Link
  state: AgentState | undefined
  welcome: Welcome | undefined
}

export class Agent {
  readonly #options: AgentOptions
  readonly #links: LinkView[] = []
  readonly #runs: Promise<TunnelFault | undefined>[] = []
  #username: string | undefined
  /** The name that is ours; a drawn one once a ticket was given for it. */
  #name: string | undefined
  #reported: AgentReport | undefined
  #stopped = false
  /** The first link that heard the last word ends all. */
  #ended: TunnelFault | undefined

  constructor(options: AgentOptions) {
    this.#options = options
    this.#name = options.subdomain
  }

  /**
   * Runs until told to stop (undefined) or until the server has said its last word (that fault), and until nothing is left
   * of any channel. Never rejects. Called once.
   */
  async run(): Promise<TunnelFault | undefined> {
    this.#startLink()
    // Links are begun one after the other, so that each knows which tasks the others have: the list may grow while it is waited for.
    for (let at = 0; at < this.#runs.length; at += 1) await this.#runs[at]
    return this.#ended
  }

  /** Lets what is in flight end within `drainMs`, and makes `run` resolve then. Harmless when repeated; a shorter time counts. */
  stop(drainMs: number): void {
    this.#stopped = true
    for (const { link } of this.#links) link.stop(drainMs)
  }

  #startLink(): void {
    const slot = this.#links.length
    const { now, backoff, patient } = this.#options
    const link = new Link({
      // The first one has shown that there is a tunnel to be had; what keeps the others from it may pass.
      patient: patient || slot > 0,
      now,
      backoff,
      open: (observation, wear, signal) => this.#open(slot, observation, wear, signal),
      report: (state, welcome) => this.#hear(view, state, welcome),
    })
    const view: LinkView = { link, state: undefined, welcome: undefined }
    this.#links.push(view)
    this.#runs.push(link.run())
  }

  #hear(view: LinkView, state: AgentState, welcome: Welcome | undefined): void {
    view.state = state
    view.welcome = welcome
    if (state.kind === 'ended' && state.why !== undefined) {
      this.#ended ??= state.why
      for (const { link } of this.#links) if (link !== view.link) link.stop(0)
    }
    this.#reportChange()
    const isLast = view === this.#links.at(-1)
    const settled = state.kind === 'online' || state.kind === 'waiting'
    const more = this.#links.length < this.#options.connections && this.#links.some((each) => each.welcome)
    if (isLast && settled && more && !this.#stopped && this.#ended === undefined) this.#startLink()
  }

  #reportChange(): void {
    const report = this.#together()
    const before = this.#reported
    if (before && isSame(before, report)) return
    this.#reported = report
    this.#options.report(report)
  }

  #together(): AgentReport {
    const states = this.#links.map(({ state }) => state).filter((state) => state !== undefined)
    const ended = states.find((state) => state.kind === 'ended')
    if (ended) return { kind: 'ended', why: this.#ended }
    const serving = this.#links.filter(({ state }) => state !== undefined && isServing(state))
    const welcome = serving[0]?.welcome
    if (welcome) return { kind: 'online', welcome, connections: serving.length }
    const waiting = states.filter((state) => state.kind === 'waiting').sort((a, b) => a.delayMs - b.delayMs)[0]
    if (waiting && !states.some((state) => state.kind === 'opening'))
      return { kind: 'waiting', why: waiting.why, delayMs: waiting.delayMs }
    return { kind: 'opening' }
  }

  async #open(
    slot: number,
    observation: string | undefined,
    wear: Wear | undefined,
    signal: AbortSignal,
  ): Promise<Opened> {
    let ticket: ChannelTicket | undefined
    try {
      ticket = await this.#ticket(observation, signal)
      return await this.#options.dial(ticket, { slot, unwanted: this.#unwanted(slot, wear) }, signal)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof IpNotAllowedFault && ticket) return { failure: mismatch(error, ticket) }
      return { failure: { kind: 'failed', fault: toFault(error) } }
    }
  }

  /** Where the other links are, and where this one was, if it has to go from there. */
  #unwanted(slot: number, wear: Wear | undefined): ReadonlySet<string> {
    const tasks = new Set<string>()
    for (const [at, { state, welcome }] of this.#links.entries()) {
      const counts = at === slot ? wear?.why.code === 'server-draining' : state !== undefined && isServing(state)
      if (counts && welcome) tasks.add(welcome.taskId)
    }
    return tasks
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
}

function isSame(a: AgentReport, b: AgentReport): boolean {
  if (a.kind !== b.kind) return false
  return a.kind === 'online' && b.kind === 'online' ? a.connections === b.connections : a.kind === 'opening'
}

/** The channel server knows what it saw, the ticket what the control plane saw; a person needs both. */
function mismatch(fault: IpNotAllowedFault, ticket: ChannelTicket): Extract<Opened, { failure: object }>['failure'] {
  const detail = `The control plane saw ${ticket.seenIp}, the channel server saw ${fault.seenIp}.`
  const both = new TunnelFault('ip-not-allowed', detail, { cause: fault })
  return { kind: 'failed', fault: both, observation: fault.observation }
}
