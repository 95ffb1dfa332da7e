/**
 * Keeps a process that was stopped for a while (SIGSTOP, a paused machine) from passing requests on before it knows that its tunnels are still
 * its own. Knows nothing of requests. A table that cannot be reached fences nobody.
 */
import { TunnelFault } from '@postern/protocol/fault'
import { FENCE_GAP_MS, FENCE_PONG_MS } from '@postern/protocol/limits'
import type { Tunnel } from '../channel/tunnel.ts'
import { Sought } from '../dispatch/sought.ts'

export interface FenceDeps {
  tunnels(): Iterable<Pick<Tunnel, 'roundTrip' | 'disconnect'>>
  /** Ends those whose name another channel has by now, as the table says; resolves too if it cannot be read. */
  compareClaims(): Promise<void>
  /** Monotonic milliseconds. */
  now(): number
  /** Runs once after so many milliseconds. Returns the removal. */
  after(ms: number, run: () => void): () => void
  /** It closes, after the clock stood still for so long. */
  closing(gapMs: number): void
  opening(): void
}

type FenceState =
  | { readonly kind: 'open' }
  | {
      readonly kind: 'closed'
      /** When the gap was noticed. */
      readonly since: number
      /** Every channel has answered since, or has gone, and none has lost its name. */
      answered: boolean
      /** The lease was renewed since, or the table is known to be out of reach. */
      settled: boolean
      readonly lifted: Promise<TunnelFault | undefined>
      lift(fault: TunnelFault | undefined): void
    }
  /** Another process is this task: for good. */
  | { readonly kind: 'shut' }

const OPEN: FenceState = { kind: 'open' }
const moved = (): TunnelFault => new TunnelFault('tunnel-moved', 'Another process has taken the place of this task.')

export class Fence {
  readonly #deps: FenceDeps
  #state: FenceState = OPEN
  #lookedAt: number
  /** Milliseconds in which this process stood still, of its whole life. */
  #stoodStillMs = 0
  #whenLifted = new Set<() => void>()

  constructor(deps: FenceDeps) {
    this.#deps = deps
    this.#lookedAt = deps.now()
  }

  /** Whether nothing may be passed on. On the path of every request: a request that lay in a socket while the process stood still comes here before any timer does. */
  closed(): boolean {
    this.tick()
    return this.#state !== OPEN
  }

  /** Looks at the clock; called every FENCE_TICK_MS, and by whoever is about to pass something on. */
  tick(): void {
    const now = this.#deps.now()
    const gap = now - this.#lookedAt
    this.#lookedAt = now
    if (gap <= FENCE_GAP_MS) return
    this.#stoodStillMs += gap
    if (this.#state.kind !== 'shut') this.#close(now, gap)
  }

  /**
   * Monotonic milliseconds without those in which this process stood still: what a visitor sent meanwhile is not read yet, so no deadline
   * of its may have come nearer by them.
   */
  awake(): number {
    this.tick()
    return this.#lookedAt - this.#stoodStillMs
  }

  /** For a request that came meanwhile: it is dispatched when the fence is lifted. */
  lifted(): Sought {
    return new Sought(this.#state.kind === 'closed' ? this.#state.lifted : Promise.resolve(moved()))
  }

  /** Calls back once, when it is open again; at once if it is. Never after `shut`. Returns the removal. */
  whenLifted(run: () => void): () => void {
    if (this.#state === OPEN) run()
    else this.#whenLifted.add(run)
    return () => this.#whenLifted.delete(run)
  }

  /** A renewal of the lease that began at `began` has succeeded, or could not reach the table. */
  leaseSettled(began: number): void {
    if (this.#state.kind !== 'closed' || began < this.#state.since) return
    this.#state.settled = true
    this.#judge()
  }

  /** The lease was refused: another process has the id of this task. */
  shut(): void {
    const state = this.#state
    this.#state = { kind: 'shut' }
    if (state.kind === 'closed') state.lift(moved())
  }

  #close(now: number, gap: number): void {
    const before = this.#state
    let lift!: (fault: TunnelFault | undefined) => void
    const lifted = new Promise<TunnelFault | undefined>((resolve) => {
      lift = resolve
    })
    const state: FenceState = { kind: 'closed', since: now, answered: false, settled: false, lifted, lift }
    this.#state = state
    // A gap within a gap: whoever waits for the first waits for the second.
    if (before.kind === 'closed') void lifted.then((fault) => before.lift(fault))
    this.#deps.closing(gap)
    void this.#askAll().then(() => {
      state.answered = true
      this.#judge()
    })
  }

  async #askAll(): Promise<void> {
    const { tunnels, compareClaims } = this.#deps
    await Promise.all([compareClaims(), ...Array.from(tunnels(), (tunnel) => this.#ask(tunnel))])
  }

  async #ask(tunnel: Pick<Tunnel, 'roundTrip' | 'disconnect'>): Promise<void> {
    await new Promise<void>((resolve) => {
      const stop = this.#deps.after(FENCE_PONG_MS, () => {
        tunnel.disconnect(
          new TunnelFault('channel-lost', 'Its agent gave no sign of life after this process stood still.'),
        )
        resolve()
      })
      void tunnel.roundTrip().then(() => {
        stop()
        resolve()
      })
    })
  }

  #judge(): void {
    const state = this.#state
    if (state.kind !== 'closed' || !state.answered || !state.settled) return
    this.#state = OPEN
    this.#deps.opening()
    state.lift(undefined)
    const waiting = this.#whenLifted
    this.#whenLifted = new Set()
    for (const run of waiting) run()
  }
}
