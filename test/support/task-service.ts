/**
 * What ECS does for a service: keeps so many tasks running behind the balancer, replaces them one after the other, notices one that died.
 * Knows nothing of what a task is for.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { NetworkBalancer, Registration } from './network-balancer/network-balancer.ts'
import type { TargetPorts } from './network-balancer/target.ts'
import type { Exit, TestProcess } from './test-process.ts'

export interface StartedTask {
  readonly process: TestProcess
  readonly ports: TargetPorts
}

export interface TaskServiceOptions {
  readonly balancer: NetworkBalancer
  /** As the tasks have it. */
  readonly timeScale: number
  /** From when a task is asked for in the place of one that died until its process begins: a network interface is made, the image is drawn. Unscaled; 0 unless told. */
  readonly launchMs?: number | undefined
  /** Uniform in [0, 1). */
  random(): number
  /** Resolves when the task listens. */
  start(taskId: string): Promise<StartedTask>
  happened?(task: string, event: string): void
}

export interface ServiceTask extends StartedTask {
  readonly id: string
  readonly registration: Registration
}

// Unscaled milliseconds.
/** How long new flows go on after deregistration, at most; from the field. */
const MOST_LINGER_MS = 90_000
/** Between deregistration and SIGTERM. */
const MOST_SIGTERM_DELAY_MS = 5000
/** Fargate's maximum for stopTimeout. */
const STOP_TIMEOUT_MS = 120_000
/** Until ECS has seen that a task died. */
const MOST_NOTICE_MS = 5000
/** How long flows still come to an address at which nobody is any more. */
const MOST_LINGER_AFTER_DEATH_MS = 10_000

export class TaskService {
  readonly #options: TaskServiceOptions
  readonly #tasks: ServiceTask[] = []
  /** Told to stop, or ended by the test: not to be started again. */
  readonly #expected = new Set<string>()
  #started = 0
  #over = false

  constructor(options: TaskServiceOptions) {
    this.#options = options
  }

  /** Those that are registered, the oldest first. */
  get tasks(): readonly ServiceTask[] {
    return this.#tasks
  }

  task(id: string): ServiceTask {
    const task = this.#tasks.find((one) => one.id === id)
    if (!task) throw new Error(`there is no ${id}`)
    return task
  }

  /** Starts so many more, and waits until the balancer takes them for healthy. */
  async start(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, () => this.#startOne()))
  }

  /**
   * A deployment with minimumHealthyPercent 100 and maximumPercent 200: a new task is started and healthy, an old one is deregistered, told
   * SIGTERM a drawn while later, and waited for; then the next.
   * @returns how each old one ended
   */
  async replaceAll(): Promise<Exit[]> {
    const exits: Exit[] = []
    for (const old of [...this.#tasks]) {
      await this.#startOne()
      exits.push(await this.retire(old))
    }
    return exits
  }

  /** Deregisters a task, and stops it as ECS does. */
  async retire(task: ServiceTask): Promise<Exit> {
    const { random } = this.#options
    this.#withdraw(task, random() * MOST_LINGER_MS)
    await this.#pass(random() * MOST_SIGTERM_DELAY_MS)
    this.#tell(task.id, 'SIGTERM')
    task.process.kill('SIGTERM')
    const timeout = setTimeout(() => {
      this.#tell(task.id, 'SIGKILL, because it had not stopped in time')
      task.process.kill('SIGKILL')
    }, STOP_TIMEOUT_MS * this.#options.timeScale)
    const exit = await task.process.exited
    clearTimeout(timeout)
    this.#tell(task.id, `gone (${exit.signal ?? `exit code ${exit.code}`})`)
    return exit
  }

  /** As when its machine dies. The service notices, deregisters it, and starts another. @returns when that one is healthy */
  async kill(task: ServiceTask): Promise<void> {
    this.#expected.add(task.id)
    this.#tell(task.id, 'SIGKILL')
    task.process.kill('SIGKILL')
    await task.process.exited
    await this.#replaceDead(task)
  }

  /** SIGSTOP: it is there, and does nothing. */
  freeze(task: ServiceTask): void {
    this.#tell(task.id, 'SIGSTOP')
    task.process.kill('SIGSTOP')
  }

  thaw(task: ServiceTask): void {
    this.#tell(task.id, 'SIGCONT')
    task.process.kill('SIGCONT')
  }

  /** Starts nothing more; whoever runs the processes ends them. */
  stop(): void {
    this.#over = true
    for (const task of this.#tasks.splice(0)) task.registration.deregister(0)
  }

  async #replaceDead(task: ServiceTask): Promise<void> {
    const { random, launchMs = 0 } = this.#options
    await this.#pass(random() * MOST_NOTICE_MS)
    if (this.#over) return
    this.#withdraw(task, random() * MOST_LINGER_AFTER_DEATH_MS)
    await this.#pass(launchMs)
    if (this.#over) return
    await this.#startOne()
  }

  async #startOne(): Promise<void> {
    const { start, balancer } = this.#options
    this.#started += 1
    const id = `task-${this.#started}`
    const started = await start(id)
    const registration = balancer.register(id, started.ports)
    const task = { ...started, id, registration }
    this.#tasks.push(task)
    this.#tell(id, 'started')
    void started.process.exited.then(async (exit) => {
      if (this.#expected.has(id) || this.#over) return
      this.#tell(id, `died (${exit.signal ?? `exit code ${exit.code}`})`)
      await this.#replaceDead(task)
    })
    await registration.settled
    this.#tell(id, registration.state)
  }

  #withdraw(task: ServiceTask, lingerMs: number): void {
    this.#expected.add(task.id)
    const index = this.#tasks.indexOf(task)
    if (index >= 0) this.#tasks.splice(index, 1)
    this.#tell(
      task.id,
      `deregistered; new flows for ${(lingerMs / 1000).toFixed(1)} s × ${this.#options.timeScale} more`,
    )
    task.registration.deregister(lingerMs)
  }

  #pass(ms: number): Promise<void> {
    return delay(ms * this.#options.timeScale)
  }

  #tell(task: string, event: string): void {
    this.#options.happened?.(task, event)
  }
}
