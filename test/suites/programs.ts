/** Programs of a suite's own folder: a local server that prints its port, and a visitor that prints its checks. Knows nothing of either. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as z from 'zod/mini'
import { runCommand } from '../support/run-command.ts'
import { LOCALHOST_NAMES, npmPackages } from './install.ts'
import type { Outcomes, Suite, Way } from './suite.ts'

const DEADLINE_MS = 240_000

const outcomesSchema = z.array(z.tuple([z.string(), z.string()]))

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

export interface Programs {
  readonly name: string
  readonly checks: number
  /** As a suite's `base`. */
  readonly base?: string
  /** With a lock file of its own. */
  readonly packages: string
  /** Below this folder, as all of these: prints the port it listens on. */
  readonly origin: string
  /** Is given an address, and prints its checks. */
  readonly client: string
  /** What is needed besides; as a suite's `install`. */
  readonly install?: () => Promise<string | undefined>
  /** Further arguments of the agent. */
  readonly agentArgs?: readonly string[]
  /** Further arguments of both programs. @param folder empty, this run's own */
  readonly args?: (folder: string) => Promise<readonly string[]>
}

/** The suite that two programs are. */
export const suiteOfPrograms = (programs: Programs): Suite => ({
  name: programs.name,
  checks: programs.checks,
  ...(programs.base === undefined ? {} : { base: programs.base }),
  install: async () => (await npmPackages(path(programs.packages))) ?? programs.install?.(),
  run: async (way, folder) => visit(way, programs, (await programs.args?.(folder)) ?? []),
})

/** What a program has printed of its checks. @throws Error if it is something else */
export const outcomesOf = (stdout: string): Outcomes => new Map(z.parse(outcomesSchema, JSON.parse(stdout)))

async function visit(way: Way, { origin, client, agentArgs }: Programs, args: readonly string[]): Promise<Outcomes> {
  const server = spawn(process.execPath, [path(origin), ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(server, 'exit')
  try {
    const [port] = await Promise.race([once(createInterface(server.stdout), 'line'), exited.then(() => [Number.NaN])])
    const url = await way.reach(Number(port), agentArgs)
    const { stdout } = await runCommand(process.execPath, ['--require', LOCALHOST_NAMES, path(client), url, ...args], {
      deadlineMs: DEADLINE_MS,
    })
    return outcomesOf(stdout)
  } finally {
    server.kill()
    await exited
  }
}
