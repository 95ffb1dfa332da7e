/** Row 19 of docs/reliability.md, over the whole run: what every system left behind is searched, and the run prints what was searched in all. */
import type { Canaries, Place } from './canaries.ts'
import { RunTally } from './run-tally.ts'

/** Of each system that was found clean. */
interface Searched {
  readonly secrets: number
  readonly places: number
  readonly bytes: number
}

const tally = new RunTally<Searched>({
  row: 19,
  variable: 'POSTERN_CANARY_TALLY',
  summarise(systems) {
    const sum = (of: keyof Searched): string =>
      systems.reduce((total, system) => total + system[of], 0).toLocaleString('en')
    return `${systems.length} systems left no secret: ${sum('secrets')} of them searched in ${sum('places')} places of ${sum('bytes')} bytes`
  },
})

/** @throws Error that names every place where something of a secret stands that may not */
export function searchAll(canaries: Canaries, places: readonly Place[]): void {
  const leaks = canaries.find(places)
  if (leaks.length > 0) {
    const lines = leaks.map(({ place, what, context }) => `${place} shows ${what}: ${context}`)
    throw new Error(`secrets where none may be:\n${[...new Set(lines)].join('\n')}`)
  }
  const bytes = places.reduce((sum, place) => sum + place.bytes.length, 0)
  tally.add({ secrets: canaries.size, places: places.length, bytes })
}

export default tally.setUp
