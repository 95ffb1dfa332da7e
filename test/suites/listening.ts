/** Ports for servers that cannot choose one and say which, and when they are there. Knows nothing of what they serve. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const PATIENCE_MS = 20_000

/** A port of 127.0.0.1 on which nobody listened a moment ago. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

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
