/**
 * The network load balancer of AWS as far as tasks and clients can tell: TCP (or TLS) listeners, a PROXY v2 header to the target, health checks,
 * a random target for each new flow, flows that come on for a while after deregistration. Knows nothing of what passes.
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import tls from 'node:tls'
import { forward } from '@postern/local/forward'
import { reset } from '@postern/local/splice'
import { checkHealth } from './health-check.ts'
import { choose, Target, type TargetPorts, type TargetState } from './target.ts'

export interface NetworkBalancerOptions {
  /** Makes every duration of the balancer shorter or longer; the same as the tasks' POSTERN_TIME_SCALE. */
  readonly timeScale: number
  /** Uniform in [0, 1). */
  random(): number
  /** Where agents connect; 127.0.0.1 unless told. */
  readonly channelHost?: string
  /** Where there is one, visitors speak TLS; ALPN offers both versions of HTTP in the order of `protocols`. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly protocols: readonly string[] }
  /**
   * What becomes of a new flow to a target at whose address nobody is: `reset` where its machine still answers, `silence` where it does
   * not (the flow is reset when the client has waited long enough to give up).
   */
  readonly gone?: 'reset' | 'silence'
  /** Hears every change of a target's state. */
  readonly changed?: (id: string, state: TargetState) => void
}

export type ListenerName = 'public' | 'channel'

export interface Registration {
  /** Resolves when it has passed its first check, or never will any more. */
  readonly settled: Promise<void>
  readonly state: TargetState
  /** New flows go on for so long, unscaled milliseconds; what stands is left alone. Harmless when repeated. */
  deregister(lingerMs: number): void
}

// As the stack has them (cdk/lib/data/balancer.ts).
const CHECK_INTERVAL_MS = 10_000
const CHECK_TIMEOUT_MS = 6000
const THRESHOLDS = { healthy: 2, unhealthy: 3 }
/** What a patient client waits for a connection that nobody answers. */
const SILENCE_MS = 75_000

interface Flow {
  readonly listener: ListenerName
  readonly target: string
  readonly client: Socket
  readonly onward: Socket
}

export class NetworkBalancer {
  readonly ports: Readonly<Record<ListenerName, number>>
  readonly #options: NetworkBalancerOptions
  readonly #servers: readonly Server[]
  readonly #targets: Target[]
  readonly #flows: Set<Flow>
  readonly #waiting: Set<Socket>
  /** Which target a client's port leads to. */
  readonly #entries: Map<number, string>
  readonly #timers = new Set<NodeJS.Timeout>()

  private constructor(options: NetworkBalancerOptions) {
    this.#options = options
    this.#targets = []
    this.#flows = new Set()
    this.#waiting = new Set()
    this.#entries = new Map()
    const halfOpen = { allowHalfOpen: true, noDelay: true }
    const visitors = options.tls
      ? tls.createServer({ ...halfOpen, ...options.tls, ALPNProtocols: [...options.tls.protocols] })
      : createServer(halfOpen)
    visitors.on(options.tls ? 'secureConnection' : 'connection', (client: Socket) => this.#lead('public', client))
    // Whoever does not get as far as that is nobody's concern here.
    visitors.on('tlsClientError', () => undefined)
    const agents = createServer(halfOpen, (client) => this.#lead('channel', client))
    this.#servers = [visitors, agents]
    this.ports = { public: 0, channel: 0 }
  }

  static async start(options: NetworkBalancerOptions): Promise<NetworkBalancer> {
    const balancer = new NetworkBalancer(options)
    const [visitors, agents] = balancer.#servers
    Object.assign(balancer.ports, {
      public: await listen(visitors!),
      channel: await listen(agents!, options.channelHost),
    })
    return balancer
  }

  register(id: string, ports: TargetPorts): Registration {
    const { timeScale, changed } = this.#options
    let settle = (): void => undefined
    const settled = new Promise<void>((resolve) => {
      settle = resolve
    })
    const target = new Target(id, ports, THRESHOLDS, (state) => {
      changed?.(id, state)
      if (state !== 'initial') settle()
    })
    this.#targets.push(target)
    changed?.(id, 'initial')
    const check = async (): Promise<void> => {
      if (!target.registered) return
      this.#after(CHECK_INTERVAL_MS, () => void check())
      target.checked(await checkHealth(ports.ops, CHECK_TIMEOUT_MS * timeScale))
    }
    void check()
    return {
      settled,
      get state() {
        return target.state
      },
      deregister: (lingerMs) => {
        if (!target.registered) return
        target.deregistered()
        const forget = (): void => {
          target.forgotten()
          this.#targets.splice(this.#targets.indexOf(target), 1)
        }
        if (lingerMs <= 0) forget()
        else this.#after(lingerMs, forget)
      },
    }
  }

  /** Which target the visitor's connection from this port of its own leads (or led) to. */
  entryOf(clientPort: number): string | undefined {
    return this.#entries.get(clientPort)
  }

  /** Flows that stand. */
  flows(listener: ListenerName): number {
    return [...this.#flows].filter((flow) => flow.listener === listener).length
  }

  /** Resets every flow of a listener at once. @returns how many */
  cut(listener: ListenerName): number {
    const cut = [...this.#flows].filter((flow) => flow.listener === listener)
    for (const { client, onward } of cut) {
      reset(client)
      reset(onward)
    }
    return cut.length
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer)
    for (const target of this.#targets.splice(0)) target.forgotten()
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const { client, onward } of this.#flows) {
      client.destroy()
      onward.destroy()
    }
    for (const socket of this.#waiting) socket.destroy()
    await Promise.all(closed)
  }

  #lead(listener: ListenerName, client: Socket): void {
    client.on('error', () => undefined)
    const target = choose(this.#targets, this.#options.random)
    if (!target) return reset(client)
    if (listener === 'public' && client.remotePort !== undefined) this.#entries.set(client.remotePort, target.id)
    const onward = forward(client, target.ports[listener], () => this.#toNobody(client))
    const flow = { listener, target: target.id, client, onward }
    this.#flows.add(flow)
    onward.on('close', () => this.#flows.delete(flow))
  }

  #toNobody(client: Socket): void {
    if (this.#options.gone !== 'silence') return reset(client)
    this.#waiting.add(client)
    client.resume()
    const timer = this.#after(SILENCE_MS, () => reset(client))
    client.on('close', () => {
      this.#waiting.delete(client)
      this.#cancel(timer)
    })
  }

  /** @param ms unscaled */
  #after(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, ms * this.#options.timeScale)
    this.#timers.add(timer)
    return timer
  }

  #cancel(timer: NodeJS.Timeout): void {
    clearTimeout(timer)
    this.#timers.delete(timer)
  }
}

function listen(server: Server, host = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host, port: 0, backlog: 4096 }, () => resolve((server.address() as AddressInfo).port))
  })
}
