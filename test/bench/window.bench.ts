/**
 * Prints what windows let through over a path with a round trip of 100 ms, in simulated time: the same numbers on every machine. Multiplexers of
 * the data plane with one budget of 32 MiB, each with an agent that sends as much as it may. Run: npx tsx test/bench/window.bench.ts
 */
import { Mux, type MuxOptions, type RawStream, WindowBudget } from '@postern/protocol/mux'

const ROUND_TRIP_MS = 100
/** 1 Gbit/s for each channel. */
const PATH_BYTES_PER_MS = 125_000
const PIECE = Buffer.alloc(64 * 1024)
const BUDGET_BYTES = 32 * 1024 * 1024

let time = 0

/** Bytes under way to one end. */
class Path {
  readonly #pieces: { readonly at: number; readonly bytes: Buffer }[] = []
  #busyUntil = 0

  send(bytes: Buffer): void {
    this.#busyUntil = Math.max(this.#busyUntil, time) + bytes.length / PATH_BYTES_PER_MS
    this.#pieces.push({ at: this.#busyUntil + ROUND_TRIP_MS / 2, bytes })
  }

  get full(): boolean {
    return this.#busyUntil > time + 2
  }

  deliver(to: Mux): void {
    while (this.#pieces.length > 0 && this.#pieces[0]!.at <= time) to.receive(this.#pieces.shift()!.bytes)
  }
}

class Tunnel {
  readonly #server: Mux
  readonly #agent: Mux
  readonly #toServer = new Path()
  readonly #toAgent = new Path()
  /** Streams of the agent, by the order in which they were opened. */
  readonly #sources: { readonly stream: RawStream; room: boolean }[] = []
  received = 0
  sending = true

  constructor(budget: WindowBudget, tenant: string) {
    const events = { outputReady: () => {}, pong: () => {}, goAway: () => {} }
    const violated = (fault: Error): never => {
      throw fault
    }
    const shared = { now: () => time, peerStreams: 256, tenant }
    const server: MuxOptions = {
      ...shared,
      side: 'server',
      budget,
      events: { ...events, violated, streamOpened: () => {} },
    }
    const streamOpened = (stream: RawStream): void => {
      const source = { stream, room: true }
      this.#sources.push(source)
      stream.listen({
        data: (chunk) => stream.consume(chunk.length),
        end: () => {},
        reset: () => {},
        writable: () => {
          source.room = true
        },
      })
    }
    this.#server = new Mux(server)
    this.#agent = new Mux({
      ...shared,
      side: 'agent',
      budget: new WindowBudget(0),
      events: { ...events, violated, streamOpened },
    })
    this.#server.ping()
  }

  download(): void {
    const stream = this.#server.openStream()
    stream.listen({
      data: (chunk) => {
        this.received += chunk.length
        stream.consume(chunk.length)
      },
      end: () => {},
      reset: () => {},
      writable: () => {},
    })
    stream.write(Buffer.from('GET'))
  }

  step(): void {
    this.#toServer.deliver(this.#server)
    this.#toAgent.deliver(this.#agent)
    if (this.sending)
      for (const source of this.#sources) while (source.room) source.room = source.stream.write(Buffer.from(PIECE))
    for (const piece of this.#server.pull(PIECE.length)) this.#toAgent.send(piece)
    while (this.#agent.outputWaiting && !this.#toServer.full)
      for (const piece of this.#agent.pull(PIECE.length)) this.#toServer.send(piece)
  }
}

/** MB a second of the last tunnel over so many seconds. */
function rate(tunnels: readonly Tunnel[], seconds: number): string {
  const last = tunnels.at(-1)!
  const before = last.received
  for (const end = time + seconds * 1000; time < end; time++) for (const tunnel of tunnels) tunnel.step()
  return ((last.received - before) / seconds / 1e6).toFixed(1)
}

function row(title: string, prepare: (budget: WindowBudget) => Tunnel[]): void {
  time = 0
  const budget = new WindowBudget(BUDGET_BYTES)
  const tunnels = [...prepare(budget), new Tunnel(budget, 'measured')]
  tunnels.at(-1)!.download()
  console.log(
    `${title.padEnd(44)}${rate(tunnels, 1).padStart(8)}${rate(tunnels, 2).padStart(8)}${rate(tunnels, 5).padStart(8)}`,
  )
}

function others(budget: WindowBudget, count: number, streams: number): Tunnel[] {
  const tunnels = Array.from({ length: count }, (_, index) => new Tunnel(budget, `tenant-${index}`))
  for (const tunnel of tunnels) for (let opened = 0; opened < streams; opened++) tunnel.download()
  rate(tunnels, 5)
  return tunnels
}

console.log(`${'MB/s of one download in seconds'.padEnd(44)}       1     2-3     4-8`)
row('alone', () => [])
row('beside 1 tenant with 10 idle streams', (budget) => {
  const tunnels = others(budget, 1, 10)
  for (const tunnel of tunnels) tunnel.sending = false
  rate(tunnels, 60)
  return tunnels
})
row('beside 1 tenant with 10 busy streams', (budget) => others(budget, 1, 10))
row('beside 10 tenants with a busy stream each', (budget) => others(budget, 10, 1))
