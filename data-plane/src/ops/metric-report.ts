/** Reports the metrics of a task once for each minute, and what is left when it stops. Knows nothing of what is counted. */
import { type Gauges, metricDocuments } from './metric-documents.ts'
import type { Counted } from './task-counts.ts'

export interface MetricReportOptions {
  readonly everyMs: number
  take(): Counted
  gauges(): Gauges
  /** Takes one line. */
  write(line: string): void
  /** Milliseconds since 1970. */
  clock(): number
}

/**
 * Each report bears the beginning of a minute of the clock, and each minute bears one: so the sum of a gauge over all tasks is that
 * of one report of each. The first comes half a minute after the beginning at the earliest. Returns the end, with the last
 * report: without gauges, because a task that has gone is none to be averaged. Harmless when repeated.
 */
export function reportMetrics({ everyMs, take, gauges, write, clock }: MetricReportOptions): () => void {
  let timer: NodeJS.Timeout | undefined
  const report = (at: number, standing: Gauges | undefined): void => {
    for (const line of metricDocuments(take(), standing, at)) write(line)
  }
  const next = (): void => {
    const now = clock()
    // A timer that is a little early must not see its own minute again.
    const due = (Math.round(now / everyMs) + 1) * everyMs
    timer = setTimeout(() => {
      report(due - everyMs, gauges())
      next()
    }, due - now)
  }
  next()
  return () => {
    if (timer === undefined) return
    clearTimeout(timer)
    timer = undefined
    report(Math.floor(clock() / everyMs) * everyMs, undefined)
  }
}
