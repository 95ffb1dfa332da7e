/** Tasks that come and go on one table behind one balancer, as a test of agents that move starts, asks and stops them. */
import { randomBytes } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect, type Tunnel } from '../../agent/src/connect.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { askOnce } from '../support/http-client.ts'
import { contentOf, fieldOf, statusOf } from '../support/http-message.ts'
import { type Ports, type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { SteadyWork } from '../support/steady-work.ts'
import type { TestProcess } from '../support/test-process.ts'

/** A drain of 22 s, 20 s of it for requests; a lease of 3 s. Agents have two seconds to open a channel, which half of that is not enough for on a busy machine. */
export const TIME_SCALE = 0.2
/** What is asked of a task that has no agent of the name any more is answered at once, so that whoever asks sees that it has moved. */
const NO_HOLD = ['--hold', '0']

export interface Task {
  readonly id: string
  readonly process: TestProcess
  readonly ports: Ports
}

export class ChangingTasks {
  readonly system: System
  /** Every POST that reached a local server, by its path. */
  readonly posts = new Map<string, number>()
  readonly #tasks: Task[] = []
  readonly #balancer: Balancer
  readonly #origins: http.Server[] = []
  readonly #tunnels: Tunnel[] = []

  private constructor(system: System, balancer: Balancer) {
    this.system = system
    this.#balancer = balancer
  }

  /** With one task. */
  static async start(): Promise<ChangingTasks> {
    const system = await startSystem({ env: { POSTERN_TIME_SCALE: String(TIME_SCALE) } })
    const balancer = await startBalancer(system.ports.channel)
    system.control.use({ channelPort: balancer.port })
    const changing = new ChangingTasks(system, balancer)
    await changing.#add(system.dataPlane)
    return changing
  }

  async stop(): Promise<void> {
    await Promise.all(this.#tunnels.map((tunnel) => tunnel.close({ drainMs: 0 })))
    await this.system.stop()
    await this.#balancer.stop()
    for (const origin of this.#origins) {
      origin.close()
      origin.closeAllConnections()
    }
  }

  get first(): Task {
    return this.#tasks[0]!
  }

  /** Starts another one; the balancer sends nothing to it yet. */
  async add(changes: Record<string, string> = {}): Promise<Task> {
    return this.#add(await this.system.startDataPlane(undefined, changes))
  }

  async #add(process: TestProcess): Promise<Task> {
    const task = { id: JSON.parse(await process.firstLine()).task, process, ports: this.system.ports }
    this.#tasks.push(task)
    return task
  }

  /** New channels go to these. */
  lead(...to: readonly Task[]): void {
    this.#balancer.lead(...to.map(({ ports }) => ports.channel))
  }

  leadToRunning(): void {
    this.lead(...this.#tasks.filter(({ process }) => process.running))
  }

  /** A local server that says its name, and counts POSTs. */
  async startOrigin(name: string, answerAfterMs = 5): Promise<{ port: number; server: http.Server }> {
    const { posts } = this
    const server = http.createServer((request, response) => {
      if (request.method === 'POST') posts.set(request.url!, (posts.get(request.url!) ?? 0) + 1)
      request.resume()
      request.on('end', () => setTimeout(() => response.end(name), answerAfterMs))
    })
    server.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    this.#origins.push(server)
    return { port: (server.address() as AddressInfo).port, server }
  }

  startAgent(subdomain: string, target: number, ...args: string[]): Promise<RunningAgent> {
    const { system } = this
    return system.startAgent({ subdomain, target, args: [...NO_HOLD, ...args], server: system.controlUrl })
  }

  /** An agent of this process, without the time that a new process takes. */
  async connect(subdomain: string, target: number): Promise<Tunnel> {
    const token = await this.system.token('tester')
    const tunnel = await connect({ target, subdomain, token, server: this.system.controlUrl, holdMs: 0 })
    this.#tunnels.push(tunnel)
    return tunnel
  }

  async online(name: string) {
    const routes = await this.system.stores.routes.list(name, { consistent: true })
    return routes.filter((route) => route.routeState === 'online')
  }

  /** The tasks that have the name, as the table says. */
  async holders(name: string): Promise<(Task | undefined)[]> {
    return (await this.online(name)).map((route) => this.#tasks.find((task) => task.id === route.taskId))
  }

  /** One request at a task that has the name. One that has it no more says so, and is asked nothing further: the request goes where it is now. */
  async ask(name: string, request: string): Promise<string> {
    for (let misses = 0; misses < 20; misses += 1) {
      const places = await this.holders(name)
      const task = places[misses % places.length]
      if (task === undefined) continue
      const answer = await askOnce({ host: '127.0.0.1', port: task.ports.public }, request)
      const fault = fieldOf(answer, 'tunnel-error')
      if (fault === 'tunnel-offline' || fault === 'tunnel-not-found') continue
      return statusOf(answer) === 200
        ? contentOf(answer).toString()
        : `${request.split(' ')[0]} ${statusOf(answer)} ${fault}`
    }
    return 'nowhere'
  }

  /** Requests for a name, one after the other from several visitors: every third a POST with a path of its own. */
  visitSteadily(name: string, host: string, width = 4): SteadyWork {
    let count = 0
    return new SteadyWork(width, async () => {
      count += 1
      const path = `/${count}-${randomBytes(3).toString('hex')}`
      try {
        return await this.ask(name, request(host, path, count % 3 === 0 ? 'POST' : 'GET'))
      } catch (error) {
        return String(error)
      }
    })
  }
}

/** One without a body, on a connection of its own. */
export const request = (host: string, path = '/', method = 'GET'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
