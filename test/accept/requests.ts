/** Judges the requests that were sent while every node was replaced. */
import { failed, notMeasurable, passed, type Verdict } from './verdict.ts'

export interface Tally {
  readonly requests: number
  readonly failed: number
  /** How often each kind of failure came: `502 origin-reset`, `ECONNRESET`. */
  readonly reasons: ReadonlyMap<string, number>
}

export function judgeRequests({ requests, failed: count, reasons }: Tally, replaced: number): Verdict {
  if (replaced === 0) return notMeasurable('No node was replaced.')
  if (requests === 0) return notMeasurable('No request was sent.')
  const detail = `${count} of ${requests} requests failed while ${replaced} nodes were replaced`
  if (count === 0) return passed(`${detail}.`)
  return failed(`${detail}: ${[...reasons].map(([reason, times]) => `${times} × ${reason}`).join(', ')}.`)
}
