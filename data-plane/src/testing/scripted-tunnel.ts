/** A tunnel under test with a pool and a queue of its own: as many streams as it is told, and the test plays the local server. */
import { EventEmitter, once } from 'node:events'
import { TunnelFault } from '@postern/protocol/fault'
import type { RawStream } from '@postern/protocol/mux'
import { type AgentStreams, LocalRoute } from '../route/local-route.ts'
import type { VisitorGate } from '../route/visitor-gate.ts'
import { ScriptedStream } from './scripted-route.ts'

/** A stream of a channel: its place is free when both sides have ended it, or one has reset it. */
export class TunnelStream extends ScriptedStream implements RawStream {
  readonly id: number
  readonly #gone: () => void
  #localEnded = false
  #open = true

  constructor(id: number, gone: () => void) {
    super()
    this.id = id
    this.#gone = gone
  }

  override end(): void {
    super.end()
    if (this.#localEnded) this.#leave()
  }

  override reset(): void {
    super.reset()
    this.#leave()
  }

  /** The local server ends its side. */
  endLocally(): void {
    this.#localEnded = true
    this.listener?.end()
    if (this.state !== 'open') this.#leave()
  }

  /** The agent resets it. */
  resetLocally(): void {
    this.#leave()
    this.listener?.reset(new TunnelFault('stream-reset'))
  }

  #leave(): void {
    if (!this.#open) return
    this.#open = false
    this.#gone()
  }
}

export class ScriptedTunnel implements AgentStreams {
  /** All that were ever opened. */
  readonly streams: TunnelStream[] = []
  readonly route: LocalRoute
  /** How many there may be at once. */
  ceiling: number
  readonly #changed = new EventEmitter()
  #open = 0
  #streamGone = (): void => {}

  /** `now` is monotonic, in milliseconds. */
  constructor(ceiling: number, now: () => number = () => performance.now(), gate?: VisitorGate) {
    this.ceiling = ceiling
    this.route = new LocalRoute(this, now, gate)
  }

  /** How many there are. */
  get open(): number {
    return this.#open
  }

  openStream(): RawStream {
    if (this.#open >= this.ceiling) throw new TunnelFault('streams-exhausted')
    this.#open += 1
    const stream = new TunnelStream(2 * this.streams.length + 2, () => {
      this.#open -= 1
      this.#streamGone()
    })
    this.streams.push(stream)
    this.#changed.emit('change')
    return stream
  }

  whenStreamGone(run: () => void): void {
    this.#streamGone = run
  }

  takeFailure(): undefined {}

  /** The stream of that index, as soon as there is one. */
  async stream(index: number): Promise<TunnelStream> {
    while (this.streams.length <= index) await once(this.#changed, 'change', { signal: AbortSignal.timeout(5000) })
    return this.streams[index]!
  }
}
