/** Finds or starts the emulator before the suites, for this process and all that it starts, and takes ours down after them. Knows nothing of the suites. */
import { delimiter, dirname } from 'node:path'
import type { TestProject } from 'vitest/node'
import { awsEnvironment } from './aws-environment.ts'
import { findEmulator } from './emulator/emulator.ts'
import { installMinistack } from './emulator/install-ministack.ts'

declare module 'vitest' {
  interface ProvidedContext {
    emulator: { title: string; seconds: number }
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const started = performance.now()
  const { title, endpoint, stop } = await findEmulator()
  project.provide('emulator', { title, seconds: (performance.now() - started) / 1000 })
  const env = awsEnvironment(endpoint)
  // For `aws`.
  env.PATH = [dirname(await installMinistack()), env.PATH].join(delimiter)
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name]
  Object.assign(process.env, env)
  return stop
}
