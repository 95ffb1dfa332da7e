/** Replaces the tasks one after the other under a steady load, and reports progress line by line. */
import { visitSteadily } from './steady-visitor.ts'
import type { TaskEvent } from './task-set.ts'

export interface RollingRestartOptions {
  /** A tunnel that is there: `http://demo.localhost:8080`. */
  readonly url: string
  replaceTasks(happened: (event: TaskEvent) => void): Promise<void>
  /** One line. */
  say(line: string): void
}

const PROGRESS_MS = 5000

export async function rollingRestart({ url, replaceTasks, say }: RollingRestartOptions): Promise<void> {
  const began = performance.now()
  const visitor = visitSteadily(url)
  const tell = (what: string): void => {
    const { requests, failures, reasons } = visitor.tally
    const why = failures > 0 ? ` (${reasons.join(', ')})` : ''
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    say(`${seconds.padStart(6)} s  ${what.padEnd(24)} ${requests} requests, ${failures} failed${why}`)
  }
  const progress = setInterval(() => tell(''), PROGRESS_MS)
  tell('rolling restart begins')
  try {
    await replaceTasks(({ task, event }) => tell(`${task} ${event}`))
  } finally {
    clearInterval(progress)
    await visitor.stop()
    tell('rolling restart is over')
  }
}
