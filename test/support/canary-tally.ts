/**
 * Row 19 of docs/reliability.md, over the whole run: what every system left behind is searched, and the run is told what was
 * searched in all. Knows nothing of where secrets or places come from.
 */
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Canaries, Place } from './canaries.ts'

/** One line of JSON for each system that was found clean: those of all workers of one run. */
const FILE = 'POSTERN_CANARY_TALLY'

interface Searched {
  readonly secrets: number
  readonly places: number
  readonly bytes: number
}

/** @throws Error that names every place where something of a secret stands that may not */
export function searchAll(canaries: Canaries, places: readonly Place[]): void {
  const leaks = canaries.find(places)
  if (leaks.length > 0) {
    const lines = leaks.map(({ place, what, context }) => `${place} shows ${what}: ${context}`)
    throw new Error(`secrets where none may be:\n${[...new Set(lines)].join('\n')}`)
  }
  const file = process.env[FILE]
  const bytes = places.reduce((sum, place) => sum + place.bytes.length, 0)
  const searched: Searched = { secrets: canaries.size, places: places.length, bytes }
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(searched)}\n`)
}

/** Of vitest, for each project that starts systems; the last one to end tells what all came to. */
export default function tally(): () => void {
  process.env[FILE] ??= join(tmpdir(), `postern-canaries-${process.pid}.jsonl`)
  const file = process.env[FILE]
  const began = performance.now()
  return () => {
    if (!existsSync(file)) return
    const systems: Searched[] = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    rmSync(file)
    const sum = (of: keyof Searched): string =>
      systems.reduce((total, system) => total + system[of], 0).toLocaleString('en')
    const counts = `${systems.length} systems left no secret: ${sum('secrets')} of them searched in ${sum('places')} places of ${sum('bytes')} bytes`
    process.stdout.write(`row 19: ${counts}\n`)
    const seconds = Math.round((performance.now() - began) / 100) / 10
    const countsFile = process.env.POSTERN_COUNTS
    if (countsFile !== undefined)
      appendFileSync(countsFile, `${JSON.stringify({ row: 19, counts, seconds, seed: '–' })}\n`)
  }
}
