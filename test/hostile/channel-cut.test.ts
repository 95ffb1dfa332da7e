/** Fault 2 of docs/reliability.md: the channel is cut after every byte of a trace of three responses. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { CutLink, type Direction } from './cut-link.ts'
import { dialAgent } from './dial-agent.ts'
import { chance, inParallel, tell, within } from './experiment.ts'
import { BASE, type MemoryTask, startMemoryTask } from './memory-task.ts'
import { TraceOrigin, threeResponses, type Verdict } from './three-responses.ts'

/** A cut is noticed within milliseconds; nothing waits for a heartbeat. */
const HANG_MS = 30_000
const CUTS = size(400, Infinity, 2000)

let task: MemoryTask
let origin: TraceOrigin
beforeAll(async () => {
  task = await startMemoryTask()
  origin = await TraceOrigin.start()
})
afterAll(async () => {
  await task.stop()
  await origin.stop()
})

interface Run {
  readonly verdicts: Verdict[] | 'hang'
  readonly passed: Record<Direction, number>
  /** The path was cut before the last response had come. */
  readonly inside: boolean
}

let runs = 0
async function run(direction: Direction, after: number, by: 'FIN' | 'RST'): Promise<Run> {
  const subdomain = `cut-${++runs}`
  const link = await CutLink.open(task.plane.ports.channel)
  const ticket = await task.desk.issue(subdomain, link.port)
  const channel = await dialAgent(ticket, origin.port)
  link.arm({ direction, after, by })
  const last = runs % 2 ? '/close' : '/old'
  const responses = threeResponses(task.plane.ports.public, `${subdomain}.${BASE}`, last)
  const verdicts = await within<Verdict[], 'hang'>(HANG_MS, responses, 'hang')
  const { done: inside, passed } = link
  link.sever(by)
  await within(HANG_MS, channel.parted, undefined)
  return { verdicts, passed, inside }
}

test('row 2: a channel cut after every byte, by FIN or RST, leaves no response short and none hanging', async () => {
  const began = performance.now()
  const uncut = await run('toServer', Infinity, 'FIN')
  expect(uncut.verdicts).toEqual(['whole', 'whole', 'whole'])

  const places = (['toServer', 'toAgent'] as const).flatMap((direction) =>
    Array.from({ length: uncut.passed[direction] }, (_, after) => ({ direction, after })),
  )
  const cuts = Math.min(CUTS, 2 * places.length)
  const offset = chance(2).next()
  const counts: Record<Verdict | 'hang' | 'behind', number> = {
    whole: 0,
    cut: 0,
    refused: 0,
    short: 0,
    hang: 0,
    behind: 0,
  }
  await inParallel(cuts, 24, async (index) => {
    // Evenly over both directions, each place by FIN and by RST.
    const place = places[Math.floor(((Math.floor(index / 2) + offset) * places.length) / Math.ceil(cuts / 2))]!
    const { verdicts, inside } = await run(place.direction, place.after, index % 2 ? 'RST' : 'FIN')
    if (!inside) counts.behind += 1
    if (verdicts === 'hang') counts.hang += 1
    else for (const verdict of verdicts) counts[verdict] += 1
  })

  tell(
    2,
    `${cuts} cuts (${counts.behind} behind the trace) on ${places.length} places, ${counts.short} complete but short, ` +
      `${origin.shortRequests} short requests at the local server, ${counts.hang} hangs; responses: ${counts.whole} whole, ` +
      `${counts.cut} cut, ${counts.refused} refused`,
    began,
  )
  expect({ short: counts.short, shortRequests: origin.shortRequests, hang: counts.hang }).toEqual({
    short: 0,
    shortRequests: 0,
    hang: 0,
  })
  // Whatever a lost channel was doing at the local server is given up there as well.
  await expect.poll(() => origin.connections(), { timeout: HANG_MS }).toBe(0)
  // The experiment itself must have bitten: most cuts lie inside the trace, which is shorter where a busy machine sends more at once.
  expect(counts.behind).toBeLessThan(cuts / 5)
  expect(counts.cut + counts.refused).toBeGreaterThan(cuts / 2)
}, 1_800_000)
