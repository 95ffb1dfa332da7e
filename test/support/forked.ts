/** A module as a process of its own, which answers each message by one. Knows nothing of what they say. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface Forked {
  readonly pid: number
  /** @throws Error if the process ends instead of answering */
  ask<Answer>(message: object | string): Promise<Answer>
  /** SIGTERM. @throws Error if the process ends with an exit code of failure */
  stop(): Promise<void>
}

/** @param env changes to the environment */
export function startForked(module: URL, env: NodeJS.ProcessEnv = {}): Forked {
  const child = fork(fileURLToPath(module), {
    execArgv: ['--import', import.meta.resolve('tsx')],
    env: { ...process.env, ...env },
  })
  const exited = once(child, 'exit')
  return {
    pid: child.pid!,
    async ask<Answer>(message: object | string) {
      child.send(message)
      const [answer] = await Promise.race([once(child, 'message'), exited])
      if (child.exitCode !== null) throw new Error(`${module.pathname} ended with exit code ${child.exitCode}.`)
      return answer as Answer
    },
    async stop() {
      child.kill()
      await exited
      if (child.exitCode) throw new Error(`${module.pathname} ended with exit code ${child.exitCode}.`)
    },
  }
}
