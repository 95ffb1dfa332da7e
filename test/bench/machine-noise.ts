/** How much of the machine somebody else used while we measured. Knows nothing of what was measured. */
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { cpuTimeOf, TICKS_PER_SECOND } from './cpu-time.ts'

/** Fields of the first line of proc(5)'s /proc/stat, behind its name; the guests' time is part of user time already. */
const IDLE = 3
const IOWAIT = 4
const STEAL = 7

export interface Reading {
  /** Seconds of a monotonic clock. */
  readonly at: number
  /** Seconds of CPU that were not idle, of all processors together, those included that the machine's host took away. */
  readonly busy: number
  /** Seconds of CPU of the processes that belong to the measurement. */
  readonly own: number
}

/** @param pids of the systems and the origin; this process and the children it has waited for are counted without being named */
export function readMachine(pids: readonly number[]): Reading {
  const [line] = readFileSync('/proc/stat', 'utf8').split('\n', 1)
  const ticks = line!.trim().split(/\s+/).slice(1).map(Number)
  const busy = ticks
    .slice(0, STEAL + 1)
    .reduce((sum, value, field) => sum + (field === IDLE || field === IOWAIT ? 0 : value), 0)
  const { user, system } = cpuTimeOf([...pids, process.pid], 'with children')
  return { at: performance.now() / 1000, busy: busy / TICKS_PER_SECOND, own: user + system }
}

/** Share of all processors together that neither the measurement used nor nobody, 0 to 1. */
export function shareOfOthers(before: Reading, after: Reading): number {
  const capacity = (after.at - before.at) * cpus().length
  const others = after.busy - before.busy - (after.own - before.own)
  return Math.max(0, others / capacity)
}
