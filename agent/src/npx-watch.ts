/** Notices that the npx which started this process is gone. npm passes a signal to the shell between the two, and the shell ends alone. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A look at the processes of this machine. */
export interface Processes {
  /** Of this process, at this moment. */
  parent(): number
  alive(pid: number): boolean
  /** Undefined where the system does not say. */
  find(pid: number): { readonly command: string; readonly parent: number } | undefined
}

export interface NpxWatchOptions {
  readonly environment: NodeJS.ProcessEnv
  readonly processes: Processes
  /** Calls `run` every so often until the answer is called. */
  every(run: () => void): () => void
  /** Called once. */
  gone(): void
}

/** Does nothing for an agent that npx has not started: such a one may be meant to outlive its parent (`nohup`, `&`). @returns the end of the watch */
export function watchNpx({ environment, processes, every, gone }: NpxWatchOptions): () => void {
  // npm sets it for `npx` and `npm exec`; for scripts it is the script's name.
  if (environment.npm_lifecycle_event !== 'npx') return () => undefined
  const parent = processes.parent()
  const watched = [parent, ...shellsParent(processes, parent)]
  // Process 1 has taken this one over, or its shell: npx was gone before this was asked. In a container npx may be process 1 itself.
  if (watched.includes(1) && !isNpm(processes.find(1))) {
    gone()
    return () => undefined
  }
  const stop = every(() => {
    if (processes.parent() === parent && watched.every((pid) => processes.alive(pid))) return
    stop()
    gone()
  })
  return stop
}

/** Some shells become the command that they are given, and others stay: then npm is one further up. */
function shellsParent(processes: Processes, parent: number): number[] {
  const found = processes.find(parent)
  return found === undefined || isNpm(found) ? [] : [found.parent]
}

const isNpm = (found: ReturnType<Processes['find']>): boolean =>
  found !== undefined && /^(npm|npx|node)\b/.test(found.command)

export const MACHINE: Processes = {
  parent: () => process.ppid,
  alive(pid) {
    try {
      process.kill(pid, 0)
      return true
    } catch (error) {
      // Another user's process is alive, and not ours to signal.
      return (error as NodeJS.ErrnoException).code === 'EPERM'
    }
  },
  find: (pid) => inProc(pid) ?? byPs(pid),
}

/** proc(5): `pid (command) state ppid`, and the command may hold anything. */
function inProc(pid: number): ReturnType<Processes['find']> {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const end = stat.lastIndexOf(')')
    return { command: stat.slice(stat.indexOf('(') + 1, end), parent: Number(stat.slice(end + 2).split(' ')[1]) }
  } catch {
    // Only Linux has it.
    return undefined
  }
}

function byPs(pid: number): ReturnType<Processes['find']> {
  try {
    const said = execFileSync('ps', ['-o', 'ppid=,comm=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [, parent, command] = /^(\d+) +(\S.*)$/.exec(said.trim()) ?? []
    return command === undefined ? undefined : { command: command.replace(/^.*\//, ''), parent: Number(parent) }
  } catch {
    // A system without ps: the parent alone is watched.
    return undefined
  }
}
