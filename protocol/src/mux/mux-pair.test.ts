import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { INITIAL_WINDOW_BYTES, WINDOW_REST_MS } from '../limits.ts'
import type { RawStream, StreamListener } from './stream.ts'
import { Pair, type PairSide } from './testing/pair.ts'
import { WindowBudget } from './window-budget.ts'

const KiB = 1024

/** What one end of a stream wrote and heard. Bytes are positions in a fixed sequence, so that order and loss show. */
class End {
  written = 0
  read = 0
  held = 0
  ended = false
  heardEnd = false
  /** Nothing further may be heard: this end reset the stream or heard a reset. */
  gone = false
  waits = false
  readonly stream: RawStream
  readonly #seed: number

  constructor(stream: RawStream, peerSeed: number) {
    this.stream = stream
    this.#seed = peerSeed
    stream.listen({
      data: (chunk) => {
        if (this.gone || this.heardEnd) throw new Error('data after the end')
        for (const byte of chunk) {
          if (byte !== (this.#seed + this.read) % 251) throw new Error(`byte ${this.read} is not the one that was sent`)
          this.read++
        }
        this.held += chunk.length
      },
      end: () => {
        if (this.gone || this.heardEnd) throw new Error('end twice')
        this.heardEnd = true
      },
      reset: () => {
        if (this.gone) throw new Error('reset twice')
        this.gone = true
      },
      writable: () => {
        if (!this.waits) throw new Error('writable for nobody')
        this.waits = false
      },
    })
  }

  write(seed: number, bytes: number): void {
    if (this.gone || this.ended) return
    const chunk = Buffer.alloc(bytes)
    for (let at = 0; at < bytes; at++) chunk[at] = (seed + this.written + at) % 251
    this.written += bytes
    this.waits = !this.stream.write(chunk)
  }

  consume(bytes: number): void {
    const moved = Math.min(bytes, this.held)
    this.held -= moved
    this.stream.consume(moved)
  }
}

const seedOf = (id: number, side: 'agent' | 'server') => id * 2 + (side === 'agent' ? 1 : 0)

class Model {
  readonly pair: Pair
  readonly budget: WindowBudget
  readonly ends = { agent: new Map<number, End>(), server: new Map<number, End>() }

  constructor(budget: WindowBudget) {
    this.budget = budget
    this.pair = new Pair({ budget, peerStreams: 6, ownStreams: 6 })
    for (const name of ['agent', 'server'] as const) {
      const other = name === 'agent' ? 'server' : 'agent'
      this.pair[name].onStream = (stream) =>
        void this.ends[name].set(stream.id, new End(stream, seedOf(stream.id, other)))
    }
  }

  act(name: 'agent' | 'server', kind: number, pick: number, amount: number): void {
    const side: PairSide = this.pair[name]
    const other = name === 'agent' ? 'server' : 'agent'
    const ends = [...this.ends[name].values()]
    const end = ends[pick % Math.max(1, ends.length)]
    this.pair.time += amount % 11
    if (kind === 0 && [...ends].filter((one) => !one.gone && !(one.ended && one.heardEnd)).length < 3) {
      const stream = side.mux.openStream()
      this.ends[name].set(stream.id, new End(stream, seedOf(stream.id, other)))
    } else if (kind === 1 || kind === 2) end?.write(seedOf(end.stream.id, name), amount)
    else if (kind === 3) end?.consume(amount)
    else if (kind === 4 && end && !end.ended) {
      end.ended = true
      end.stream.end()
    } else if (kind === 5 && end && amount % 3 === 0) {
      end.gone = true
      end.stream.reset()
    } else if (kind === 6) this.pair.pull(side, amount)
    else if (kind === 7) this.pair.deliver(side, amount)
    else if (kind === 8) side.mux.ping()
    // Windows that have grown rest.
    else if (kind === 9) this.pair.time += 2 * WINDOW_REST_MS
  }

  check(): void {
    expect([...this.pair.agent.faults, ...this.pair.server.faults]).toEqual([])
    for (const name of ['agent', 'server'] as const) {
      const other = name === 'agent' ? 'server' : 'agent'
      for (const [id, end] of this.ends[name]) {
        const peer = this.ends[other].get(id)
        expect(end.read).toBeLessThanOrEqual(peer?.written ?? 0)
        // What a stalled reader holds never exceeds one window: initial plus what the budget granted.
        expect(end.held).toBeLessThanOrEqual(INITIAL_WINDOW_BYTES + this.budget.bytes)
      }
    }
  }

  get #open(): number {
    return this.pair.agent.mux.openStreams + this.pair.server.mux.openStreams
  }

  /** Everyone reads and ends; what was not reset must then be complete on both sides. */
  finish(): void {
    for (let round = 0; round < 100 && this.#open > 0; round++) {
      for (const end of [...this.ends.agent.values(), ...this.ends.server.values()]) {
        if (!end.gone && !end.ended) end.stream.end()
        end.ended = true
        end.consume(Number.POSITIVE_INFINITY)
      }
      this.pair.settle(40 * KiB)
    }
    this.check()
    for (const name of ['agent', 'server'] as const) {
      const other = name === 'agent' ? 'server' : 'agent'
      for (const [id, end] of this.ends[name]) {
        const peer = this.ends[other].get(id)
        if (end.gone || peer === undefined || peer.gone) continue
        expect([end.read, end.heardEnd]).toEqual([peer.written, true])
      }
    }
    expect(this.#open).toBe(0)
    expect(this.budget.free).toBe(this.budget.bytes)
  }
}

describe('two multiplexers', () => {
  const step = fc.tuple(
    fc.constantFrom('agent' as const, 'server' as const),
    fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 8, 9),
    fc.nat(10),
    fc.oneof(fc.nat(40), fc.nat(2000), fc.nat(120 * KiB)),
  )
  it('deliver every byte once and in order, in any interleaving and chunking, with half-closes and resets', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), fc.boolean(), (steps, mayGrow) => {
        const model = new Model(new WindowBudget(mayGrow ? 4 * 1024 * KiB : 0))
        for (const [name, kind, pick, amount] of steps) model.act(name, kind, pick, amount)
        model.check()
        model.finish()
      }),
      { numRuns: 400 },
    )
  })

  it('are not delayed on one stream by a stalled reader of another, which holds one window', () => {
    const pair = new Pair()
    const ends: End[] = []
    pair.agent.onStream = (stream) => void ends.push(new End(stream, seedOf(stream.id, 'server')))
    const [stalled, lively] = [0, 1].map(() => new End(pair.server.mux.openStream(), 0)) as [End, End]
    stalled.write(seedOf(2, 'server'), 600 * KiB)
    for (let round = 0; round < 50; round++) {
      lively.write(seedOf(4, 'server'), 64 * KiB)
      pair.settle(16 * KiB)
      ends[1]!.consume(64 * KiB)
      expect(ends[1]!.read).toBe(lively.written)
    }
    expect(ends[0]!.held).toBe(INITIAL_WINDOW_BYTES)
    ends[0]!.consume(INITIAL_WINDOW_BYTES)
    pair.settle()
    ends[0]!.consume(INITIAL_WINDOW_BYTES)
    pair.settle()
    expect(ends[0]!.read).toBe(600 * KiB)
  })

  it('let no reset overtake what an expedited stream says of it before, however much that is', () => {
    const pair = new Pair({ peerStreams: 5000, ownStreams: 5000 })
    const quiet: StreamListener = { data: () => {}, end: () => {}, reset: () => {}, writable: () => {} }
    const served: RawStream[] = []
    pair.agent.onStream = (stream) => {
      served.push(stream)
      stream.listen(quiet)
    }
    const said = new Set<number>()
    let unread = ''
    pair.server.onStream = (stream) =>
      stream.listen({
        ...quiet,
        data: (chunk) => {
          stream.consume(chunk.length)
          const lines = (unread + chunk).split('\n')
          unread = lines.pop()!
          for (const text of lines) said.add(Number.parseInt(text, 10))
        },
      })
    const control = pair.agent.mux.openStream()
    pair.agent.mux.expedite(control)
    let [explained, unexplained] = [0, 0]
    for (let opened = 0; opened < 5000; opened++) {
      const stream = pair.server.mux.openStream()
      stream.listen({ ...quiet, reset: () => void (said.has(stream.id) ? explained++ : unexplained++) })
    }
    pair.settle()
    for (const stream of served) {
      control.write(Buffer.from(`${stream.id}`.padEnd(199).concat('\n')))
      stream.reset()
    }
    expect(5000 * 200).toBeGreaterThan(3 * INITIAL_WINDOW_BYTES)
    pair.settle(1000)
    expect([explained, unexplained]).toEqual([5000, 0])
  })

  it('carry a thousand streams one after another, each closed on both sides', () => {
    const pair = new Pair({ peerStreams: 1, ownStreams: 1 })
    pair.agent.onStream = (stream) =>
      stream.listen({
        data: (chunk) => void stream.write(chunk),
        end: () => stream.end(),
        reset: () => {},
        writable: () => {},
      })
    for (let count = 0; count < 1000; count++) {
      const end = new End(pair.server.mux.openStream(), 7)
      end.write(7, 100)
      end.stream.end()
      pair.settle()
      expect([end.read, end.heardEnd]).toEqual([100, true])
    }
    expect([...pair.agent.faults, ...pair.server.faults]).toEqual([])
    expect([pair.agent.mux.openStreams, pair.server.mux.openStreams]).toEqual([0, 0])
  })
})
