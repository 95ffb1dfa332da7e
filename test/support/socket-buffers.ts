/** What the kernel may keep between two ends of a TCP connection. Knows nothing of what is sent. */
import { readFileSync } from 'node:fs'

/** Of a system that does not tell: what macOS lets a buffer grow to (kern.ipc.maxsockbuf). */
const UNTOLD_BYTES = 8 * 1024 * 1024

/**
 * Bytes that a connection of this machine can hold when its reader has stopped: what the sender's buffer and the reader's grow to by themselves
 * (tcp(7): the third figure of tcp_wmem and of tcp_rmem). The second is 32 MiB on Linux 6.18, and 17.7 MB of it were seen full.
 */
export function heldByConnection(): number {
  return largest('tcp_wmem') + largest('tcp_rmem')
}

function largest(setting: string): number {
  if (process.platform !== 'linux') return UNTOLD_BYTES
  return Number(readFileSync(`/proc/sys/net/ipv4/${setting}`, 'utf8').trim().split(/\s+/)[2])
}
