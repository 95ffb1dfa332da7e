/** The channels to other tasks: one each, opened when it is needed and kept; who cannot be reached is left alone for a moment. Knows nothing of names. */
import { connect } from 'node:net'
import { type HopPeer, openHop } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { PEER_SUSPECT_MS } from '@postern/protocol/limits'
import type { WindowBudget } from '@postern/protocol/mux'
import type { Task } from '@postern/protocol/store'
import type { DeploymentKeys } from '@postern/protocol/ticket'
import { PeerChannel, type PeerChannelOptions } from './peer-channel.ts'

export interface PeersDeps {
  readonly self: HopPeer
  readonly keys: DeploymentKeys
  readonly budget: WindowBudget
  /** Monotonic milliseconds. */
  now(): number
  withdrawn: PeerChannelOptions['withdrawn']
  /** The channel to a task ended, or could not be opened. */
  failed(peer: HopPeer, how: 'silent' | 'gone', fault: TunnelFault | undefined): void
}

/** `gone`: its process is no more, as its machine says. `silent`: nothing is heard of it, which a partition looks like too. */
export type PeerState = 'open' | 'unknown' | 'gone' | 'silent'

type Entry =
  | { readonly kind: 'opening'; readonly opened: Promise<void> }
  | { readonly kind: 'open'; readonly channel: PeerChannel }
  | { readonly kind: 'suspect'; readonly how: 'gone' | 'silent'; readonly until: number }

export class Peers {
  readonly #deps: PeersDeps
  readonly #entries = new Map<string, Entry>()
  /** Those that take no further streams too, until the last of theirs has ended. */
  readonly #channels = new Set<PeerChannel>()
  readonly #stopping = new AbortController()

  constructor(deps: PeersDeps) {
    this.#deps = deps
  }

  /** Every channel to another task. */
  get channels(): ReadonlySet<PeerChannel> {
    return this.#channels
  }

  channel(peer: HopPeer): PeerChannel | undefined {
    const entry = this.#entries.get(keyOf(peer))
    return entry?.kind === 'open' ? entry.channel : undefined
  }

  state(peer: HopPeer): PeerState {
    const entry = this.#entries.get(keyOf(peer))
    if (entry?.kind === 'open') return 'open'
    if (entry?.kind === 'suspect' && entry.until > this.#deps.now()) return entry.how
    return 'unknown'
  }

  /** Opens the channel, unless it is open, being opened or just failed to. Resolves when `state` says what came of it; never rejects. */
  reach(task: Task): Promise<void> {
    const key = keyOf(task)
    const entry = this.#entries.get(key)
    if (entry?.kind === 'opening') return entry.opened
    if (this.state(task) !== 'unknown') return Promise.resolve()
    const opened = this.#open(key, task)
    this.#entries.set(key, { kind: 'opening', opened })
    return opened
  }

  /** Forgets what failed long ago. */
  sweep(): void {
    const now = this.#deps.now()
    for (const [key, entry] of this.#entries)
      if (entry.kind === 'suspect' && entry.until <= now) this.#entries.delete(key)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new TunnelFault('channel-closed'))
    await Promise.all([...this.#channels].map((channel) => channel.close()))
  }

  async #open(key: string, task: Task): Promise<void> {
    const { self, keys, budget, now, withdrawn } = this.#deps
    try {
      const { host, port } = placeOf(task.addr)
      const raw = connect({ host, port, noDelay: true })
      const socket = await openHop(raw, self, keys, { signal: this.#stopping.signal })
      const channel: PeerChannel = new PeerChannel({
        socket,
        budget,
        now,
        withdrawn,
        over: (how, fault) => {
          if (how === 'leaving') this.#entries.delete(key)
          else this.#suspect(key, task, how, fault)
        },
        ended: () => this.#channels.delete(channel),
      })
      this.#channels.add(channel)
      this.#entries.set(key, { kind: 'open', channel })
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      const fault = toFault(error, 'peer-unreachable')
      this.#suspect(key, task, isRefusal(fault) ? 'gone' : 'silent', fault)
    }
  }

  #suspect(key: string, peer: HopPeer, how: 'silent' | 'gone', fault: TunnelFault | undefined): void {
    this.#entries.set(key, { kind: 'suspect', how, until: this.#deps.now() + PEER_SUSPECT_MS })
    this.#deps.failed(peer, how, fault)
  }
}

const keyOf = ({ taskId, bootId }: HopPeer): string => `${taskId}/${bootId}`

/** @throws TunnelFault `peer-unreachable`: the other task listens for nobody. */
function placeOf(addr: string): { host: string; port: number } {
  const colon = addr.lastIndexOf(':')
  if (colon <= 0) throw new TunnelFault('peer-unreachable', 'It listens for no other task.')
  return { host: addr.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(addr.slice(colon + 1)) }
}

/** Its machine answers, and nobody listens there: the process has ended. */
function isRefusal({ cause }: TunnelFault): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'ECONNREFUSED' || cause.code === 'ECONNRESET')
}
