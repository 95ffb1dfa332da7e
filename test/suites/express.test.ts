/** Express's own tests, with the tunnel between supertest and the application. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'vitest'
import * as z from 'zod/mini'
import { freePort } from '../support/free-port.ts'
import { tryCommand } from '../support/run-command.ts'
import { debianSource } from './debian-source.ts'
import { LOCALHOST_NAMES, npmPackages } from './install.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import { type Outcomes, PASSED, type Suite } from './suite.ts'

const HERE = fileURLToPath(new URL('express', import.meta.url))
/** Below the packages that it requires; without a dot, because Express serves no files behind one. */
const SOURCE = join(HERE, 'node_modules', 'source-of-express')
const DEADLINE_MS = 240_000

const reportSchema = z.object({
  tests: z.array(z.object({ fullTitle: z.string(), err: z.object({ message: z.optional(z.string()) }) })),
})

const express: Suite = {
  name: 'Express',
  // Four of its 1,264 expect the words of an older Node about bad JSON.
  checks: 1260,
  install: async () => (await npmPackages(HERE)) ?? (await debianSource('node-express', SOURCE)),
  async run(way, folder) {
    const port = await freePort()
    const report = join(folder, 'report.json')
    const mocha = [
      ...[join(HERE, 'node_modules/mocha/bin/mocha.js'), '--require', join(HERE, 'through.cjs')],
      ...['--require', 'test/support/env', '--reporter', 'json', '--reporter-option', `output=${report}`],
      ...['test/', 'test/acceptance/'],
    ]
    const { output } = await tryCommand(process.execPath, ['--require', LOCALHOST_NAMES, ...mocha], {
      cwd: SOURCE,
      env: { ...process.env, SUITE_PORT: String(port), SUITE_URL: await way.reach(port) },
      deadlineMs: DEADLINE_MS,
    })
    const text = await readFile(report, 'utf8').catch(() => {
      throw new Error(`mocha wrote no report, but said:\n${output}`)
    })
    return outcomes(z.parse(reportSchema, JSON.parse(text)))
  },
}

/** Eight titles are there twice. */
function outcomes({ tests }: z.infer<typeof reportSchema>): Outcomes {
  const found = new Map<string, string>()
  for (const { fullTitle, err } of tests) {
    const name = found.has(fullTitle) ? `${fullTitle} (again)` : fullTitle
    found.set(name, err.message === undefined ? PASSED : err.message)
  }
  return found
}

test('Express: its own tests pass through the tunnel as they do without it', (context) =>
  sameThroughTunnel(express, context))
