/** CPU time of processes, as the operating system accounts for it. Knows nothing of what they do. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Seconds. */
export interface CpuTime {
  readonly user: number
  readonly system: number
}

/** Fields 14 to 17 of proc(5)'s stat, counted from the field behind the command, which may hold anything. */
const UTIME = 11
const STIME = 12
const CUTIME = 13
const CSTIME = 14

export const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/**
 * All threads together, those that have ended included. The kernel scales its two tick counts to the run time that the
 * scheduler measured: their sum is exact to a tick (10 ms), how it divides into user and system is sampled.
 *
 * @param whose `with children`: those that have ended and been waited for are counted too
 * @throws Error when a process is gone, or where there is no /proc
 */
export function cpuTimeOf(pids: readonly number[], whose: 'alone' | 'with children' = 'alone'): CpuTime {
  let user = 0
  let system = 0
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    user += Number(fields[UTIME])
    system += Number(fields[STIME])
    if (whose === 'alone') continue
    user += Number(fields[CUTIME])
    system += Number(fields[CSTIME])
  }
  return { user: user / TICKS_PER_SECOND, system: system / TICKS_PER_SECOND }
}

/** What was used between two readings of the same processes. */
export const cpuTimeBetween = (before: CpuTime, after: CpuTime): CpuTime => ({
  user: after.user - before.user,
  system: after.system - before.system,
})
