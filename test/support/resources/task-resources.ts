/** Compares what a task holds at its end with what it held at its start: counters, timers and descriptors. */
import { setTimeout as pause } from 'node:timers/promises'
import { readMetrics } from '../metric-page.ts'
import { type Descriptors, descriptorsOf, HAS_PROC, isFrozen, type TcpSocket } from './process-descriptors.ts'

export interface WatchedTask {
  /** For messages. */
  readonly name: string
  readonly ports: { readonly public: number; readonly channel: number; readonly peer: number; readonly ops: number }
  /** Undefined if the task runs in this process, whose timers and descriptors are not the task's alone. */
  readonly pid?: number
  /** The port of the proxy by which other tasks reach it; its own peer port if undefined. */
  readonly reachedAt?: number
  /** Ports that it connects to by itself: of the table and of the control plane. */
  readonly calls: readonly number[]
  /** Whether it has been told to stop, or has ended. */
  over(): boolean
}

interface Holding {
  readonly counters: ReadonlyMap<string, number>
  readonly descriptors: Descriptors | undefined
}

/** Gauges of the metrics page that return to 0 when visitors have gone, while agents still run. */
const OF_VISITORS = ['postern_active_streams', 'postern_held_bytes'] as const
/** Visitors are counted only when agents have gone: an agent keeps its connection to the public port, by which it gets tickets. */
const OF_ALL = [...OF_VISITORS, 'postern_visitor_connections', 'postern_tunnels'] as const
const TIMERS = 'nodejs_active_resources{type="Timeout"}'

/** Most things end within milliseconds, idle streams of another task within five seconds. The rest is for a slow machine. */
const PATIENCE_MS = 30_000
const LOOK_AGAIN_MS = 20
/** By then the timers that a start sets once have fired. */
const SETTLED_MS = 400

export class TaskResources {
  readonly #task: WatchedTask
  readonly #patienceMs: number
  #base: Holding | undefined
  #timersAtFirst = Number.POSITIVE_INFINITY

  private constructor(task: WatchedTask, patienceMs: number) {
    this.#task = task
    this.#patienceMs = patienceMs
  }

  /** Reads the base of a task that has just begun to listen, before any visitor or agent comes. */
  static async watch(task: WatchedTask, patienceMs = PATIENCE_MS): Promise<TaskResources> {
    const resources = new TaskResources(task, patienceMs)
    await resources.#lookAtFirst()
    return resources
  }

  /** Waits until nothing of a visitor is left, agents being as they are. Returns what is left; undefined if the task has ended or is frozen. */
  leftByVisitors(): Promise<string[] | undefined> {
    return this.#untilNothing(({ counters }) => above0(counters, OF_VISITORS))
  }

  /**
   * Waits until nothing of a visitor or an agent is left. Returns what is left; undefined if the task has ended or is frozen.
   * @param peers where the other tasks that run are reached; one channel to each and one from each may stay
   */
  async leftByAgents(peers: readonly number[]): Promise<string[] | undefined> {
    return await this.#untilNothing((now) => [
      ...above0(now.counters, OF_ALL),
      ...this.#socketsLeft(now, peers),
      ...this.#otherwiseLeft(now, peers),
    ])
  }

  #socketsLeft({ descriptors }: Holding, peers: readonly number[]): string[] {
    const { ports, calls } = this.#task
    const own = [ports.public, ports.channel, ports.peer, ports.ops]
    const connected = (descriptors?.sockets ?? []).filter(({ remotePort }) => remotePort !== 0)
    const accepted = connected.filter(({ localPort }) => own.includes(localPort))
    const called = connected.filter((socket) => !accepted.includes(socket))
    const at = (port: number): TcpSocket[] => accepted.filter(({ localPort }) => localPort === port)
    const to = (port: number): TcpSocket[] => called.filter(({ remotePort }) => remotePort === port)
    return [
      ...beyond('accepted on the public port', at(ports.public), 0),
      ...beyond('accepted on the channel port', at(ports.channel), 0),
      ...beyond('accepted from other tasks', at(ports.peer), peers.length),
      ...peers.flatMap((port) => beyond('to one other task', to(port), 1)),
      ...beyond(
        'to somewhere else',
        called.filter(({ remotePort }) => ![...calls, ...peers].includes(remotePort)),
        0,
      ),
    ]
  }

  #otherwiseLeft({ counters, descriptors }: Holding, peers: readonly number[]): string[] {
    if (descriptors === undefined) return []
    if (this.#base?.descriptors === undefined) return ['it could not be looked at when it had started']
    const ofPeers = timersOfPeers(descriptors, this.#task.ports.peer, peers)
    const [timers, timersAtFirst] = [timersOf(counters), this.#timersAtFirst + ofPeers]
    const [others, othersAtFirst] = [descriptors.others, this.#base.descriptors.others]
    const left: string[] = []
    if (timers > timersAtFirst) left.push(`${timers} timers, of which ${timersAtFirst} at first`)
    if (others > othersAtFirst)
      left.push(`${others} descriptors beside its sockets, of which ${othersAtFirst} at first`)
    return left
  }

  async #untilNothing(leftOf: (holding: Holding) => string[]): Promise<string[] | undefined> {
    const deadline = performance.now() + this.#patienceMs
    for (;;) {
      const holding = await this.#read()
      if (holding === undefined) return undefined
      const left = holding instanceof Error ? [`it does not answer: ${holding.message}`] : leftOf(holding)
      if (left.length === 0 || performance.now() > deadline) return left.map((what) => `${this.#task.name}: ${what}`)
      await pause(LOOK_AGAIN_MS)
    }
  }

  async #lookAtFirst(): Promise<void> {
    const look = await this.#read()
    if (look === undefined || look instanceof Error) return
    this.#base = look
    this.#timersAtFirst = timersOf(look.counters)
    void this.#lookWhenSettled()
  }

  /** A start sets a timer or two that fire once. Traffic only adds timers, so the lower number is the base. */
  async #lookWhenSettled(): Promise<void> {
    await pause(SETTLED_MS)
    const look = await this.#read()
    if (look === undefined || look instanceof Error) return
    this.#timersAtFirst = Math.min(this.#timersAtFirst, timersOf(look.counters))
  }

  /** Returns undefined for a task that is over or frozen, and an error if another one does not answer. */
  async #read(): Promise<Holding | Error | undefined> {
    const { ports, pid, over } = this.#task
    const silent = (): boolean => over() || (pid !== undefined && isFrozen(pid))
    if (silent()) return undefined
    try {
      const counters = await readMetrics(ports.ops)
      return { counters, descriptors: pid === undefined || !HAS_PROC ? undefined : descriptorsOf(pid) }
    } catch (error) {
      return silent() ? undefined : toError(error)
    }
  }
}

const toError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
const timersOf = (counters: Holding['counters']): number => counters.get(TIMERS) ?? 0

/** A channel from another task has one heartbeat; a channel to another task has two (peer-channel.ts). */
function timersOfPeers({ sockets }: Descriptors, ownPort: number, peers: readonly number[]): number {
  const from = sockets.filter(({ localPort, remotePort }) => localPort === ownPort && remotePort !== 0)
  const to = sockets.filter(({ remotePort }) => peers.includes(remotePort))
  return from.length + 2 * to.length
}

const above0 = (counters: Holding['counters'], names: readonly string[]): string[] =>
  names.flatMap((name) => (counters.get(name) === 0 ? [] : [`${name} ${counters.get(name)}`]))

function beyond(what: string, sockets: readonly TcpSocket[], most: number): string[] {
  if (sockets.length <= most) return []
  const pairs = sockets.map(({ localPort, remotePort }) => `${localPort}-${remotePort}`)
  return [`${sockets.length} sockets ${what}, at most ${most} may stay (${pairs.slice(0, 5).join(', ')})`]
}
