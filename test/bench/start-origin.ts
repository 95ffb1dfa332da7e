/** Starts the origin as a process of its own, so that neither the generator nor a contender shares its thread. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Origin } from './contender.ts'

const SCRIPT = fileURLToPath(new URL('origin.ts', import.meta.url))

export interface RunningOrigin extends Origin {
  readonly pid: number
  stop(): Promise<void>
}

export function startOrigin(): Promise<RunningOrigin> {
  const child = fork(SCRIPT, { execArgv: ['--import', 'tsx'] })
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`the origin ended with ${code}`)))
    child.once('message', (message) => {
      const { port } = message as Origin
      const stop = async (): Promise<void> => {
        child.disconnect()
        await exited
      }
      resolve({ port, pid: child.pid!, stop })
    })
  })
}
