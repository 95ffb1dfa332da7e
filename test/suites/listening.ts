/** When a server is there that says nothing of it. Knows nothing of what it serves. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const PATIENCE_MS = 20_000

/** Resolves when something takes connections on this port. @throws Error when `program` ends, or after 20 s */
export async function untilListening(port: number, program: ChildProcess): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await takesConnections(port))) {
    if (program.exitCode !== null || performance.now() > deadline) {
      throw new Error(`${program.spawnfile} does not listen on port ${port} (exit code ${program.exitCode})`)
    }
    await delay(25)
  }
}

async function takesConnections(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
