/** Keeps one channel of the agent open, the next one before the former goes, as `agent-state` says. Knows nothing of tickets, names or other links. */
import type { Welcome } from '@postern/protocol/channel'
import type { TunnelFault } from '@postern/protocol/fault'
import { AGENT_DRAIN_MS } from '@postern/protocol/limits'
import { type AgentEvent, type AgentState, FIRST_STATE, step } from './agent-state.ts'

/** Why a channel wants a successor while it still serves. */
export interface Wear {
  readonly why: TunnelFault
  /** How long what is in flight on it may take, once the successor stands; milliseconds. */
  readonly finishMs: number
}

/** An open channel, as far as a link is concerned (see `LiveChannel`). */
export interface AgentChannel {
  /** Resolves when a successor is to be opened, while this one serves. It may never do so. */
  readonly worn: Promise<Wear>
  /** Resolves when it serves no more, with the reason. */
  readonly parted: Promise<TunnelFault>
  /** Resolves when nothing is left of it. */
  readonly ended: Promise<void>
  /** `moved`: its successor stands. */
  leave(drainMs: number, moved?: 'moved'): void
}

export type Opened =
  | { readonly channel: AgentChannel; readonly welcome: Welcome; readonly failure?: undefined }
  | { readonly failure: Extract<AgentEvent, { kind: 'failed' }> }

export interface LinkOptions {
  /** Whether to go on if the very first attempts lead nowhere. */
  readonly patient: boolean
  /** `wear`: why the channel that this one is to succeed goes. Rejects only when aborted. */
  open(observation: string | undefined, wear: Wear | undefined, signal: AbortSignal): Promise<Opened>
  /** Milliseconds of a monotonic clock. */
  now(): number
  readonly backoff: {
    delayAfter(failures: number): number
    wait(ms: number, signal: AbortSignal): Promise<void>
    gotThrough(): void
  }
  /** Hears every change of state; `welcome` is that of the channel that serves, or did last. */
  report(state: AgentState, welcome: Welcome | undefined): void
}

/** A channel that is to be succeeded. */
interface Former {
  readonly channel: AgentChannel
  readonly wear: Wear
}

export class Link {
  readonly #options: LinkOptions
  readonly #stopping = new AbortController()
  /** Resolves when told to stop. */
  readonly #stopped: Promise<undefined>
  /** The one that serves, and those that finish beside it. */
  readonly #channels = new Set<AgentChannel>()
  #former: Former | undefined
  #welcome: Welcome | undefined
  #state: AgentState = FIRST_STATE

  constructor(options: LinkOptions) {
    this.#options = options
    this.#stopped = new Promise((resolve) => {
      this.#stopping.signal.addEventListener('abort', () => resolve(undefined))
    })
  }

  /**
   * Runs until told to stop (undefined) or until the server has said its last word (that fault), and until nothing is left
   * of any channel. Never rejects. Called once.
   */
  async run(): Promise<TunnelFault | undefined> {
    const { backoff, report } = this.#options
    const { signal } = this.#stopping
    let channel: AgentChannel | undefined
    report(this.#state, undefined)
    while (true) {
      const state = this.#state
      switch (state.kind) {
        case 'opening':
          channel = await this.#open(state.observation, signal)
          break
        case 'online':
          await this.#serve(channel!)
          break
        case 'waiting':
          await backoff.wait(state.delayMs, signal)
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
    this.#stopping.abort()
    void this.#leaveAll(drainMs)
  }

  async #leaveAll(drainMs: number): Promise<void> {
    for (const channel of this.#channels) channel.leave(drainMs)
    await Promise.all([...this.#channels].map((channel) => channel.ended))
  }

  async #open(observation: string | undefined, signal: AbortSignal): Promise<AgentChannel | undefined> {
    const { open, now, backoff } = this.#options
    const opened = await open(observation, this.#former?.wear, signal).catch(() => undefined)
    if (opened === undefined || opened.failure !== undefined) {
      this.#advance(signal.aborted || opened === undefined ? { kind: 'stopped' } : opened.failure)
      return undefined
    }
    const { channel, welcome } = opened
    this.#channels.add(channel)
    void channel.ended.then(() => this.#channels.delete(channel))
    if (signal.aborted) {
      this.#advance({ kind: 'stopped' })
      return undefined
    }
    backoff.gotThrough()
    const former = this.#former
    this.#former = undefined
    this.#welcome = welcome
    this.#advance({ kind: 'opened', at: now() })
    // Not before: until now it has served alone, and from here on nothing new comes to it.
    former?.channel.leave(former.wear.finishMs, 'moved')
    return channel
  }

  async #serve(channel: AgentChannel): Promise<void> {
    const { now } = this.#options
    const what = await Promise.race([
      // In this order: one that goes at the same moment needs no grace.
      channel.parted.then((fault) => ({ fault })),
      channel.worn.then((wear) => ({ wear })),
      this.#stopped,
    ])
    if (what === undefined) return this.#advance({ kind: 'stopped' })
    if ('fault' in what) return this.#advance({ kind: 'parted', fault: what.fault, at: now() })
    const former = { channel, wear: what.wear }
    this.#former = former
    void channel.parted.then((fault) => this.#lose(former, fault))
    this.#advance({ kind: 'worn', at: now() })
  }

  /** It went before its successor stood. */
  #lose(former: Former, fault: TunnelFault): void {
    if (this.#former !== former) return
    this.#former = undefined
    this.#advance({ kind: 'parted', fault, at: this.#options.now() })
    // The server's last word: nothing is opened any more.
    if (this.#state.kind === 'ended') this.#stopping.abort()
  }

  #advance(event: AgentEvent): void {
    const { backoff, patient, report } = this.#options
    const before = this.#state
    this.#state = step(before, event, { delayAfter: (failures) => backoff.delayAfter(failures), patient })
    if (this.#state !== before) report(this.#state, this.#welcome)
  }
}
