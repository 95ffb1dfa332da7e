/** The tunnel demo.example.com, whose agent comes and goes as a test says, with the room where requests wait for it. Knows nothing of visitors. */
import type { Subdomain } from '@postern/protocol/address'
import { Dispatcher } from '../dispatch/dispatcher.ts'
import { WaitingRoom } from '../dispatch/waiting-room.ts'
import type { Route } from '../route/route.ts'

export class ReturningTunnel {
  readonly dispatcher: Dispatcher
  readonly #room: WaitingRoom
  readonly #backs = new Set<(route: Route) => void>()
  #route: Route | undefined

  /** It is away at first. `apex`: what stands at example.com itself, and never goes. */
  constructor({ holdMs = 60_000, apex }: { holdMs?: number; apex?: Route } = {}) {
    const routes = {
      get: (name: Subdomain) => (name === 'demo' ? this.#route : undefined),
      isAway: (name: Subdomain) => name === 'demo',
      holdMs: () => holdMs,
      tenantOf: () => 'alice',
      whenBack: (_name: Subdomain, back: (route: Route) => void) => {
        this.#backs.add(back)
        return () => void this.#backs.delete(back)
      },
    }
    const after = (ms: number, run: () => void) => {
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    }
    this.#room = new WaitingRoom({ routes, now: () => performance.now(), after, counts: { held: () => {} } })
    this.dispatcher = new Dispatcher({ base: 'example.com', routes, room: this.#room, apex })
  }

  /** Requests that wait. */
  get size(): number {
    return this.#room.size
  }

  /** Resolves once so many wait. */
  async holding(size: number): Promise<void> {
    const deadline = performance.now() + 30_000
    while (this.size !== size) {
      if (performance.now() > deadline) throw new Error(`${this.size} requests are held, not ${size}`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  leave(): void {
    this.#route = undefined
  }

  arrive(route: Route): void {
    this.#route = route
    const waiting = [...this.#backs]
    this.#backs.clear()
    for (const back of waiting) back(route)
  }
}
