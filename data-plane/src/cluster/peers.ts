/** The channels to other nodes: one for each, opened when it is needed, kept, and replaced in time. A node that cannot be reached is not tried again for a moment. */
import { connect } from 'node:net'
import { type HopPeer, hopBinding, openHop, replacementAge } from '@postern/protocol/channel'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { CHANNEL_WEAR_CHECK_MS, HOP_OPENING_MS, PEER_SUSPECT_MS } from '@postern/protocol/limits'
import type { WindowBudget } from '@postern/protocol/mux'
import type { Task } from '@postern/protocol/store'
import { canProve, type DeploymentKeys, isProvenBy } from '@postern/protocol/ticket'
import type { Hop } from '../route/peer-route.ts'
import { PeerChannel, type PeerChannelOptions } from './peer-channel.ts'

export interface PeersDeps {
  readonly self: HopPeer
  /** Where other tasks reach this one. */
  ownAddr(): string
  readonly keys: DeploymentKeys
  readonly budget: WindowBudget
  /** Monotonic milliseconds. */
  now(): number
  /** Uniform in [0, 1). */
  random(): number
  withdrawn: PeerChannelOptions['withdrawn']
  streamCrashed: PeerChannelOptions['streamCrashed']
  /** The channel to a task ended, or could not be opened. */
  failed(peer: HopPeer, how: Unreached, fault: TunnelFault | undefined): void
  /** A channel to that task is open. */
  opened(peer: HopPeer): void
  /** Another channel to that task takes new requests from now on; or could not be opened, which is tried again. */
  replaced(peer: HopPeer): void
  notReplaced(peer: HopPeer, fault: TunnelFault): void
}

/**
 * `gone`: its machine answers that nobody listens, so its process has ended. `silent`: nothing answers, as in a partition. `foreign`: a process
 * listens there that does not accept our key, or does not prove that it is the one that was meant.
 */
type Unreached = 'gone' | 'silent' | 'foreign'
export type PeerState = 'open' | 'unknown' | Unreached

type Entry =
  | { readonly kind: 'opening'; readonly opened: Promise<void> }
  /** `replaceAt`: not before is another channel opened in the place of this one. */
  | { readonly kind: 'open'; readonly task: Task; readonly channel: PeerChannel; replaceAt: number }
  | { readonly kind: 'suspect'; readonly how: Unreached; readonly until: number }

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

  /** The open channel to that task, for tunnels of one tenant. */
  channel(peer: HopPeer, tenant: string): Hop | undefined {
    const entry = this.#entries.get(keyOf(peer))
    return entry?.kind === 'open' ? entry.channel.hopFor(tenant) : undefined
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
    // This process listens there now, so the former one has ended.
    if (task.addr === this.#deps.ownAddr()) {
      this.#entries.set(key, { kind: 'suspect', how: 'gone', until: this.#deps.now() + PEER_SUSPECT_MS })
      return Promise.resolve()
    }
    const opened = this.#open(key, task)
    this.#entries.set(key, { kind: 'opening', opened })
    return opened
  }

  /** Forgets what failed long ago, and replaces channels that have served for long enough. Called about once a second. */
  sweep(): void {
    const now = this.#deps.now()
    for (const [key, entry] of this.#entries) {
      if (entry.kind === 'suspect' && entry.until <= now) this.#entries.delete(key)
      if (entry.kind === 'open' && entry.channel.needsReplacement && entry.replaceAt <= now) {
        entry.replaceAt = now + CHANNEL_WEAR_CHECK_MS
        void this.#replace(key, entry.task)
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new TunnelFault('channel-closed'))
    await Promise.all([...this.#channels].map((channel) => channel.close()))
  }

  async #open(key: string, task: Task): Promise<void> {
    try {
      this.#use(key, task, await this.#connect(key, task))
    } catch (error) {
      if (this.#stopping.signal.aborted) return
      const fault = toFault(error, 'peer-unreachable')
      this.#suspect(key, task, howFailed(fault), fault)
    }
  }

  /** The former channel serves until the next one stands. */
  async #replace(key: string, task: Task): Promise<void> {
    try {
      this.#use(key, task, await this.#connect(key, task))
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#deps.notReplaced(task, toFault(error, 'peer-unreachable'))
    }
  }

  /** Whichever channel was there before finishes what is open on it: a replacement and a channel that was asked for may be opened at the same time. */
  #use(key: string, task: Task, channel: PeerChannel): void {
    const former = this.#entries.get(key)
    this.#entries.set(key, { kind: 'open', task, channel, replaceAt: 0 })
    if (former?.kind !== 'open') return
    former.channel.replaced()
    this.#deps.replaced(task)
  }

  async #connect(key: string, task: Task): Promise<PeerChannel> {
    const { self, keys, budget, now, random, withdrawn } = this.#deps
    const { host, port } = placeOf(task.addr)
    const raw = connect({ host, port, noDelay: true })
    const socket = await openHop(raw, self, keys, { signal: this.#stopping.signal })
    const binding = hopBinding(socket)
    const proof = new AwaitedProof(task.bootId)
    const channel: PeerChannel = new PeerChannel({
      socket,
      budget,
      now,
      longestMs: replacementAge(random),
      proof: (signature) => proof.take(binding, signature),
      withdrawn,
      streamCrashed: this.#deps.streamCrashed,
      over: (how, fault) => {
        proof.settle(fault ?? new TunnelFault('channel-lost'))
        const entry = this.#entries.get(key)
        // The end of a replaced channel does not make the node suspect: another channel to it is open.
        if (entry?.kind !== 'open' || entry.channel !== channel) return
        if (how === 'leaving') this.#entries.delete(key)
        else this.#suspect(key, task, how, fault)
      },
      ended: () => this.#channels.delete(channel),
    })
    this.#channels.add(channel)
    const fault = await proof.settled
    if (fault !== undefined) {
      channel.destroy(fault)
      throw fault
    }
    this.#deps.opened(task)
    return channel
  }

  #suspect(key: string, peer: HopPeer, how: Unreached, fault: TunnelFault | undefined): void {
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

function howFailed({ code, cause }: TunnelFault): Unreached {
  const reason = cause instanceof Error && 'code' in cause ? cause.code : undefined
  // Its machine answers, and nobody listens there.
  if (reason === 'ECONNREFUSED' || reason === 'ECONNRESET') return 'gone'
  // The connection stood, and ended without an error of the network.
  const isDropped = code === 'channel-lost' && cause === undefined
  return isDropped || code === 'key-mismatch' ? 'foreign' : 'silent'
}

/** Whether the process at the other end is the one that was meant: whoever has the deployment's key can listen at any address that the table names. */
class AwaitedProof {
  /** Undefined: it is. */
  readonly settled: Promise<TunnelFault | undefined>
  readonly #bootId: string
  readonly #timer: NodeJS.Timeout | undefined
  #resolve: (fault: TunnelFault | undefined) => void = () => {}

  constructor(bootId: string) {
    this.#bootId = bootId
    this.settled = new Promise((resolve) => {
      this.#resolve = resolve
    })
    // A node of an older version has a boot id that proves nothing, and its routes have no proof either.
    if (canProve(bootId))
      this.#timer = setTimeout(() => this.settle(new TunnelFault('opening-timeout')), HOP_OPENING_MS)
    else this.settle(undefined)
  }

  take(binding: Uint8Array, signature: string): void {
    const isIt = isProvenBy(this.#bootId, binding, signature)
    this.settle(
      isIt ? undefined : new TunnelFault('key-mismatch', 'It does not prove that it is the process that was meant.'),
    )
  }

  /** The first time counts. */
  settle(fault: TunnelFault | undefined): void {
    clearTimeout(this.#timer)
    this.#resolve(fault)
  }
}
