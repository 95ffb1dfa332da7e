/** A real process under test: what it said is kept, it can be waited for, and it never outlives the test. Knows nothing of what it runs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'

export interface TestProcessOptions {
  /** For messages. */
  readonly name: string
  /** Arguments for Node: script and its arguments. */
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** A command before Node's own that becomes it: `ip netns exec …`. */
  readonly prefix?: readonly string[] | undefined
  /** Where standard output goes instead of to this process, which then knows it only as far as it reads the file. */
  readonly stdoutFile?: string | undefined
}

type Output = 'stdout' | 'stderr'

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How long a process is waited for before the test is told what it said instead. */
const PATIENCE_MS = 45_000
/** From SIGTERM to SIGKILL. */
const STOP_GRACE_MS = 20_000
const ENDING: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', 'SIGKILL']

export class TestProcess {
  readonly name: string
  readonly exited: Promise<Exit>
  stdout = ''
  stderr = ''
  readonly #process: ChildProcess
  readonly #stdoutFile: string | undefined
  readonly #written: Record<Output, Buffer[]> = { stdout: [], stderr: [] }
  #exit: Exit | undefined
  #told = false
  #waiting = new Set<() => void>()

  constructor({ name, args, env, prefix = [], stdoutFile }: TestProcessOptions) {
    this.name = name
    this.#stdoutFile = stdoutFile
    const stdout = stdoutFile === undefined ? 'pipe' : openSync(stdoutFile, 'w')
    // The IPC channel ends it when the test's process is gone, however that came about.
    const [program, ...rest] = [...prefix, process.execPath, ...args] as [string, ...string[]]
    this.#process = spawn(program, rest, { env, stdio: ['ignore', stdout, 'pipe', 'ipc'] })
    if (typeof stdout === 'number') closeSync(stdout)
    for (const output of ['stdout', 'stderr'] as const) {
      if (this.#process[output] === null) continue
      const decoder = new StringDecoder('utf8')
      this.#process[output].on('data', (bytes: Buffer) => {
        this.#written[output].push(bytes)
        this[output] += decoder.write(bytes)
        this.#wake()
      })
    }
    this.exited = new Promise((resolve) => {
      // 'close' comes after the last byte of output, 'exit' need not.
      this.#process.once('close', (code, signal) => {
        this.#exit = { code, signal }
        resolve(this.#exit)
        this.#wake()
      })
    })
  }

  /** Nobody reads its standard error any more: what it writes there from now on is EPIPE. */
  deafen(): void {
    this.#process.stderr!.destroy()
  }

  /** Its standard output is not read any more, until it is again. */
  pauseOutput(): void {
    this.#process.stdout!.pause()
  }

  resumeOutput(): void {
    this.#process.stdout!.resume()
  }

  get pid(): number {
    return this.#process.pid!
  }

  get running(): boolean {
    return this.#exit === undefined
  }

  /** Whether it has ended, or was told to. */
  get ending(): boolean {
    return this.#told || !this.running
  }

  /** Every byte it has written so far, whether it is text or not. */
  written(output: Output): Buffer {
    if (output === 'stdout' && this.#stdoutFile !== undefined) return readFileSync(this.#stdoutFile)
    return Buffer.concat(this.#written[output])
  }

  /** The first line of standard output. */
  async firstLine(): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS
    while (this.#stdoutFile !== undefined && !this.stdout.includes('\n')) {
      this.stdout = this.written('stdout').toString('utf8')
      if (this.#exit || performance.now() > deadline) break
      await this.#change(20)
    }
    return this.#seen('stdout', /^(.*)\n/)
  }

  /** Waits for standard error to match; resolves with the first group, or the whole match. @param from where to begin to look */
  complains(pattern: RegExp, from = 0): Promise<string> {
    return this.#seen('stderr', pattern, from)
  }

  kill(signal: NodeJS.Signals): void {
    if (ENDING.includes(signal)) this.#told = true
    this.#process.kill(signal)
  }

  /** SIGTERM, then SIGKILL. Harmless when repeated. @param graceMs in between; 0: it is not asked at all */
  async stop(graceMs = STOP_GRACE_MS): Promise<Exit> {
    if (this.#exit) return this.#exit
    this.kill(graceMs === 0 ? 'SIGKILL' : 'SIGTERM')
    const timer = setTimeout(() => this.kill('SIGKILL'), graceMs)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  async #seen(stream: Output, pattern: RegExp, from = 0): Promise<string> {
    const deadline = performance.now() + PATIENCE_MS
    while (true) {
      const match = pattern.exec(this[stream].slice(from))
      if (match) return match[1] ?? match[0]
      if (this.#exit || performance.now() > deadline) throw this.#disappointment(`${stream} like ${pattern}`)
      await this.#change(deadline - performance.now())
    }
  }

  /** Resolves at the next output or at the exit, or when the time is over. */
  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(done)
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      this.#waiting.add(done)
    })
  }

  #wake(): void {
    for (const done of [...this.#waiting]) done()
  }

  #disappointment(wanted: string): Error {
    const how = this.#exit ? `ended (${this.#exit.signal ?? `exit code ${this.#exit.code}`})` : 'is silent'
    return new Error(`${this.name} ${how} without ${wanted}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`)
  }
}
