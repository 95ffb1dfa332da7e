/** What a process holds in memory, as the kernel counts it (Linux). Knows nothing of what the process does. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

/** Whether this machine tells (Linux does). */
export const canReadMemory = existsSync('/proc/self/status')

/** Starts the peak anew, so that it covers what follows (proc_pid_clear_refs(5), value 5). */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

/** Resident memory in MiB: just now, and its peak since the start or since `forgetPeak`. */
export function memoryOf(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
  return { now: field('VmRSS'), peak: field('VmHWM') }
}
