/** A child process that does not outlive us: started with an IPC channel, stopped by SIGTERM, then by SIGKILL. Knows nothing of what it runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { TunnelFault } from '@postern/protocol/fault'

export interface ChildOptions {
  /** For messages: `data plane`. */
  readonly name: string
  /** Arguments for Node itself: flags, script, its arguments. */
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  /** One line of its standard error. */
  complaint(line: string): void
}

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export class Child {
  readonly name: string
  readonly pid: number
  readonly exited: Promise<ChildExit>
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>

  /**
   * A process group of its own keeps the terminal's Ctrl+C away from it: the order of stopping is ours. The IPC channel
   * tells it when we are gone, however that came about.
   */
  constructor(options: ChildOptions) {
    this.name = options.name
    this.#process = spawn(process.execPath, options.args, {
      env: options.env,
      cwd: options.cwd,
      detached: true,
      windowsHide: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    this.pid = this.#process.pid!
    this.exited = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => resolve({ code, signal }))
    })
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]()
    createInterface({ input: this.#process.stderr! }).on('line', options.complaint)
  }

  /**
   * The next line of its standard output.
   * @throws TunnelFault `internal-error` if it has exited instead
   */
  async line(): Promise<string> {
    const next = await this.#lines.next()
    if (!next.done) return next.value
    const { code, signal } = await this.exited
    throw new TunnelFault('internal-error', `The ${this.name} ended (${signal ?? `exit code ${code}`}).`)
  }

  /** Resolves when it is gone. Harmless when repeated. @param graceMs until it is killed */
  async stop(graceMs: number): Promise<ChildExit> {
    this.#process.kill('SIGTERM')
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), graceMs)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }
}
