/** What a person reads while a tunnel is open: the URL on standard output, the rest on standard error. Knows nothing of the process. */
import type { TunnelFault } from '@postern/protocol/fault'
import { createColors } from 'picocolors'
import type { Notice, TunnelStatus } from './connect.ts'

export interface TerminalOptions {
  out(text: string): void
  err(text: string): void
  readonly color: boolean
  /** The URL and errors only. */
  readonly quiet: boolean
  /** How the local server is called: `http://localhost:3000`. */
  readonly target: string
}

export class Terminal {
  readonly #options: TerminalOptions
  readonly #colors: ReturnType<typeof createColors>
  /** The URL stands on standard output already. */
  #announced = false
  /** The person was told that the tunnel is down. */
  #down = false

  constructor(options: TerminalOptions) {
    this.#options = options
    this.#colors = createColors(options.color)
  }

  status(status: TunnelStatus): void {
    const { green, yellow } = this.#colors
    switch (status.kind) {
      case 'online':
        if (!this.#announced) {
          this.#announced = true
          this.#options.out(`${status.url}\n`)
          this.#note(`${green('ready')}: ${status.url} → ${this.#options.target} (Ctrl+C ends it)`)
        } else if (this.#down) this.#note(`${green('back')}: ${status.url}`)
        this.#down = false
        return
      case 'waiting':
        this.#down = true
        this.#note(
          `${yellow('reconnecting')} in ${(status.delayMs / 1000).toFixed(1)} s: ${status.why.message} ${status.why.advice}`,
        )
        return
      case 'connecting':
      case 'closed':
        return
    }
  }

  localServer(fault: TunnelFault | undefined): void {
    const { green, yellow } = this.#colors
    if (fault) this.#note(`${yellow('local server')}: ${fault.message} ${fault.advice}`)
    else this.#note(`${green('local server')}: answers at ${this.#options.target}`)
  }

  notice({ about, detail }: Notice): void {
    const { yellow } = this.#colors
    const what = detail.replaceAll(/\p{C}/gu, '?')
    switch (about) {
      case 'answer-refused':
        return this.#note(`${yellow('local server')}: its answer was refused: ${what}`)
      case 'still-waiting':
        return this.#note(`still waiting for ${this.#options.target.replace(/^https?:\/\//, '')}: ${what}`)
      case 'cookie-dropped':
        return this.#note(
          `${yellow('cookie')}: ${what} was dropped, because its Domain would give it to other tunnels of the service; leave Domain out`,
        )
    }
  }

  warn(text: string): void {
    this.#note(`${this.#colors.yellow('warning')}: ${text}`)
  }

  closing(): void {
    this.#note('closing; requests in flight may end (Ctrl+C again to stop at once)')
  }

  fault(fault: TunnelFault): void {
    this.#say(`${this.#colors.red('error')}: ${fault.message}\n  ${fault.advice} (${fault.code})`)
  }

  #note(text: string): void {
    if (!this.#options.quiet) this.#say(text)
  }

  #say(text: string): void {
    this.#options.err(`tunnel-agent: ${masked(text)}\n`)
  }
}

/** Whatever a person typed into the wrong place may stand in a message; a token never leaves with it. */
const masked = (text: string): string => text.replace(/pst_[0-9A-Za-z]+/g, 'pst_…')
