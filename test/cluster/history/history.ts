/** What happened in an experiment, event by event, on one clock. Knows nothing of what is right. */

/** A channel as its agent heard of it in `welcome`. */
export interface Owner {
  readonly task: string
  readonly epoch: number
}

/** An agent was welcomed: the name was claimed for it a moment earlier. */
export interface Claimed extends Owner {
  readonly kind: 'claimed'
  /** When it dialled, and when it heard of the claim, which was made in between. */
  readonly begun: number
  readonly at: number
  readonly name: string
  /** Which agent; of one agent each channel is a claim of its own. */
  readonly agent: string
  /** The id of the ticket that it was opened with. */
  readonly ticket: string
}

/** A visitor's request is over, however it ended. */
export interface Asked {
  readonly kind: 'asked'
  readonly id: string
  readonly method: string
  readonly name: string
  readonly client: string
  readonly begun: number
  readonly ended: number
  /** The task that its connection led to. */
  readonly entry: string | undefined
  /** `ok`, or what came instead: `503 tunnel-offline`, `cut`, `refused`. */
  readonly outcome: string
  /** Over which channel it reached the local server, as that one said. */
  readonly owner: Owner | undefined
}

/** A request reached a local server. */
export interface Delivered {
  readonly kind: 'delivered'
  readonly at: number
  readonly id: string
  readonly method: string
  readonly owner: Owner | undefined
}

/** Something that the experiment did, or that a part said of itself. */
interface Noted {
  readonly kind: 'noted'
  readonly at: number
  readonly who: string
  readonly what: string
}

export type HistoryEvent = Claimed | Asked | Delivered | Noted

export class History {
  readonly events: HistoryEvent[] = []
  readonly #listeners = new Set<(event: HistoryEvent) => void>()

  add(event: HistoryEvent): void {
    this.events.push(event)
    for (const listener of this.#listeners) listener(event)
  }

  note(who: string, what: string): void {
    this.add({ kind: 'noted', at: performance.now(), who, what })
  }

  /** @returns no longer */
  follow(listener: (event: HistoryEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  of<Kind extends HistoryEvent['kind']>(kind: Kind): Extract<HistoryEvent, { kind: Kind }>[] {
    return this.events.filter((event) => event.kind === kind) as Extract<HistoryEvent, { kind: Kind }>[]
  }
}
