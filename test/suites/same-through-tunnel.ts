/** Runs a suite both ways and judges: what differs is listed with its reason, or it is a failure. Knows nothing of what a suite does. */
import { appendFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, type TestContext } from 'vitest'
import { listedDifferences } from './differences.ts'
import { type Outcomes, PASSED, type Suite, type Way } from './suite.ts'
import { direct, throughTunnel } from './ways.ts'

/** Asserts that `suite` shows the same through the tunnel as without it; leaves the test out, with the reason, where its software cannot be had. */
export async function sameThroughTunnel(suite: Suite, context: TestContext): Promise<void> {
  const began = performance.now()
  const missing = await suite.install()
  if (missing !== undefined) {
    process.stdout.write(`${suite.name}: LEFT OUT: ${missing}\n`)
    context.skip(missing)
  }
  const installed = performance.now()
  const without = await direct((way) => inFolder(suite, way), suite)
  const through = await throughTunnel((way) => inFolder(suite, way), suite)

  const listed = listedDifferences(suite.name)
  const differing = [...new Set([...without.keys(), ...through.keys()])].filter(
    (check) =>
      (without.get(check) === PASSED) !== (through.get(check) === PASSED) || without.has(check) !== through.has(check),
  )
  const counts = [
    `direct ${count(without)}`,
    `through the tunnel ${count(through)}`,
    `${differing.length} differences, ${differing.filter((check) => listed.has(check)).length} of them listed`,
  ].join('; ')
  tell(suite.name, counts, { installation: installed - began, run: performance.now() - installed })

  const unlisted = differing.filter((check) => !listed.has(check))
  const described = unlisted.map(
    (check) => `${check}\n    direct: ${without.get(check)}\n    tunnel: ${through.get(check)}`,
  )
  expect(described, 'differences that nobody has explained').toEqual([])
  const gone = [...listed].filter((check) => !differing.includes(check))
  expect(gone, 'listed in differences.ts, but no difference').toEqual([])
  const failing = [...without].filter(([, outcome]) => outcome !== PASSED).map(([check, why]) => `${check}: ${why}`)
  expect(without.size - failing.length, failing.join('\n')).toBeGreaterThanOrEqual(suite.checks)
}

async function inFolder(suite: Suite, way: Way): Promise<Outcomes> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-suite-'))
  try {
    return await suite.run(way, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function count(outcomes: Outcomes): string {
  const passed = [...outcomes.values()].filter((outcome) => outcome === PASSED).length
  return `${passed} passed, ${outcomes.size - passed} failed`
}

/** One line for people, and with POSTERN_COUNTS one for the table of docs/reliability.md. */
function tell(name: string, counts: string, ms: { readonly installation: number; readonly run: number }): void {
  const seconds = (milliseconds: number): number => Math.round(milliseconds / 100) / 10
  process.stdout.write(`${name}: ${counts} (${seconds(ms.run)} s, installation ${seconds(ms.installation)} s)\n`)
  const file = process.env.POSTERN_COUNTS
  if (file !== undefined) appendFileSync(file, `${JSON.stringify({ suite: name, counts, seconds: seconds(ms.run) })}\n`)
}
