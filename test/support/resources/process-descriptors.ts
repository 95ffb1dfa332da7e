/** Open descriptors of a process on this machine, from /proc: its TCP sockets with their ports, and the number of all others. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface TcpSocket {
  readonly localPort: number
  /** 0 while it listens. */
  readonly remotePort: number
}

export interface Descriptors {
  readonly sockets: readonly TcpSocket[]
  readonly others: number
}

/** Only Linux has it. */
export const HAS_PROC = existsSync('/proc/self/fd')

/** Returns none for a process that has ended. */
export function descriptorsOf(pid: number): Descriptors {
  // A socket may be opened or closed between the looks.
  const [before, targets, after] = [tcpSockets(pid), targetsOf(pid), tcpSockets(pid)]
  const byInode = new Map([...before, ...after])
  const sockets: TcpSocket[] = []
  let others = 0
  for (const target of targets) {
    const socket = byInode.get(/^socket:\[(\d+)\]$/.exec(target)?.[1] ?? '')
    if (socket === undefined) others += 1
    else sockets.push(socket)
  }
  return { sockets, others }
}

/** Whether SIGSTOP holds the process, so that it cannot answer. */
export const isFrozen = (pid: number): boolean => HAS_PROC && / T /.test(ifThere(() => statOf(pid)) ?? '')

/** Leaves out the name of the program, which may hold any character. */
const statOf = (pid: number): string => readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, '')

function targetsOf(pid: number): string[] {
  const names = ifThere(() => readdirSync(`/proc/${pid}/fd`)) ?? []
  return names.flatMap((name) => ifThere(() => readlinkSync(`/proc/${pid}/fd/${name}`)) ?? [])
}

const tcpSockets = (pid: number) => [...tcpTable(pid, 'tcp'), ...tcpTable(pid, 'tcp6')]

/** Sockets by inode, in the network namespace of the process (proc_pid_net(5)). */
function* tcpTable(pid: number, table: 'tcp' | 'tcp6'): Iterable<[inode: string, socket: TcpSocket]> {
  const lines = ifThere(() => readFileSync(`/proc/${pid}/net/${table}`, 'latin1'))?.split('\n') ?? []
  for (const line of lines.slice(1)) {
    const [, local, remote, , , , , , , inode] = line.trim().split(/\s+/)
    if (inode !== undefined) yield [inode, { localPort: portOf(local!), remotePort: portOf(remote!) }]
  }
}

/** Of `0100007F:1F90`. */
const portOf = (address: string): number => Number.parseInt(address.slice(address.indexOf(':') + 1), 16)

/** Returns undefined if the process or its descriptor has gone meanwhile. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}
