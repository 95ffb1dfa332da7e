/** Fault 3 of docs/reliability.md: hostile bytes before a key is proven and hostile frames after it, against a data plane that serves a good tunnel. */
import { get } from 'node:http'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { memoryOf } from '../support/peak-memory.ts'
import type { SeededRandom } from '../support/seeded-random.ts'
import { dialAgent } from './dial-agent.ts'
import { chance as chanceOf, inParallel, tell, within } from './experiment.ts'
import { type Pace, startGoodTunnel } from './good-tunnel.ts'
import { begin, borne, helloLine, noise, REPLIES, torn, VIOLATIONS } from './hostile-frames.ts'
import { hostileOpening } from './hostile-openings.ts'
import { HostilePeer } from './hostile-peer.ts'
import { type Overheard, overhear } from './overheard-opening.ts'
import { BASE, lastWords, startTaskProcess, type TaskProcess } from './task-process.ts'

/** Of 50,000 cases: 3,000 openings, and channels of one case for each frame and one for what ends it. */
const OPENINGS = size(3000, 60_000)
const FRAMES_PER_CHANNEL = 160
const CHANNELS = size(300, 5900)
const WIDTH = 12
const PATIENCE_MS = 10_000
/** A good ticket is overheard anew so often: it lives for a minute. */
const OPENINGS_PER_TICKET = 500
const QUIET_MS = 1000
/** A hundred answers a second, each of which may take a fifth of one: what is missing then was taken from the tunnel, not from the machine. */
const GOOD = { visitors: 20, paceMs: 200 }
const GOOD_PER_SECOND = (GOOD.visitors * 1000) / GOOD.paceMs
/** What garbage collection leaves lying between two looks is a few dozen MiB, and the same after fifty thousand cases as after a million. */
const GROWTH_MIB = 256

let task: TaskProcess
beforeAll(async () => {
  task = await startTaskProcess()
}, 30_000)
afterAll(() => task.stop())

/** Says it, ends, and waits for the server to close as well. */
function say(pieces: readonly Buffer[], by: 'FIN' | 'RST'): Promise<'closed'> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port: task.channelPort, noDelay: true })
    socket.on('error', () => {
      // Refused before all was said.
    })
    socket.on('close', () => resolve('closed'))
    socket.resume()
    for (const piece of pieces) socket.write(piece)
    if (by === 'FIN') socket.end()
    else socket.write(Buffer.alloc(0), () => socket.resetAndDestroy())
  })
}

async function openings(chance: SeededRandom): Promise<{ hangs: number; burnt: number }> {
  let hangs = 0
  let burnt = 0
  for (let done = 0; done < OPENINGS; done += OPENINGS_PER_TICKET) {
    const ticket = await task.desk.issue('overheard', task.channelPort)
    const overheard: Overheard = await overhear(ticket, task.channelPort)
    await inParallel(OPENINGS_PER_TICKET, WIDTH, async () => {
      const pieces = hostileOpening(chance, overheard)
      if ((await within(PATIENCE_MS, say(pieces, chance.pick(['FIN', 'RST'])), 'open')) === 'open') hangs += 1
    })
    const opened = await dialAgent(ticket, 1).catch(() => undefined)
    if (opened === undefined) burnt += 1
    await opened?.leave(0)
  }
  return { hangs, burnt }
}

interface Judged {
  /** Frames behind which the channel answered a ping. */
  borne: number
  /** Channels that a violation ended. */
  violations: number
  /** Visitors whose request was answered with hostility, and who heard of an error. */
  replies: number
  /** Bytes without meaning. */
  noise: number
}

/** Whether a visitor's request came to an end, and not to a good one. */
function fails(host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { agent: false, host: '127.0.0.1', port: task.publicPort, headers: { host } }
    const request = get(options, (response) => {
      response.on('end', () => resolve(response.statusCode! >= 400))
      response.on('error', () => resolve(true))
      response.resume()
    })
    request.on('error', () => resolve(true))
  })
}

/** What ends the channels, in turn, so that each kind of violation and of reply has its share. */
const ENDINGS = ['violation', 'noise', 'violation', 'noise before hello', 'violation', 'reply'] as const
const VIOLATION_NAMES = Object.keys(VIOLATIONS)

async function channel(index: number, chance: SeededRandom, judged: Judged): Promise<void> {
  const subdomain = `hostile-${index}`
  const ending = ENDINGS[index % ENDINGS.length]!
  const peer = await HostilePeer.open(await task.desk.issue(subdomain, task.channelPort))
  // Who has not said hello is dismissed after a while in any case, which would hide a violation that went unnoticed.
  const greets = ending !== 'noise before hello'
  const { said, bytes } = begin(greets ? helloLine(`peer-${index}`) : '{"type":"later"}\n')
  peer.send(bytes)
  if (greets) await peer.hears('welcome', PATIENCE_MS)

  const frames = Array.from({ length: FRAMES_PER_CHANNEL }, () => borne(said, chance))
  peer.send(...torn(Buffer.concat(frames), chance))
  expect(await peer.survives(PATIENCE_MS), `frames that are to be borne on channel ${index}`).toBe(true)
  judged.borne += frames.length

  if (ending === 'violation') {
    const name = VIOLATION_NAMES[judged.violations++ % VIOLATION_NAMES.length]!
    peer.send(...torn(VIOLATIONS[name]!(said, chance), chance))
    await expect(peer.dismissed(PATIENCE_MS), `${name} on channel ${index}`).resolves.toBeUndefined()
  } else if (ending === 'reply') {
    const at = judged.replies++ % REPLIES.length
    const failed = fails(`${subdomain}.${BASE}`)
    peer.send(...torn(REPLIES[at]!(await peer.visited(PATIENCE_MS), chance), chance))
    expect(await within(PATIENCE_MS, failed, 'hang'), `reply ${at} on channel ${index}`).toBe(true)
  } else {
    judged.noise += 1
    peer.send(...torn(noise(chance), chance))
    // It may be the beginning of something long: the peer does not wait for an answer that may never come.
    await Promise.race([peer.dismissed(PATIENCE_MS), setTimeout(20)])
  }
  peer.leave(chance.pick(['FIN', 'RST']))
}

/** Whoever was held up before asks for more until it has made up for it, and that is not its rate. */
const rateOf = ({ perSecond }: Pace): number => Math.min(perSecond, GOOD_PER_SECOND)

test('row 3: hostile openings and frames crash nothing, and a good tunnel beside them is served on', async () => {
  const began = performance.now()
  const chance = chanceOf(3)
  const ticket = await task.desk.issue('good', task.channelPort)
  const good = await startGoodTunnel({ ...GOOD, ticket, publicPort: task.publicPort, host: `good.${BASE}` })
  await setTimeout(QUIET_MS)
  await good.pace()
  const memory = memoryOf(task.pid).now
  await setTimeout(QUIET_MS)
  const before = await good.pace()
  const judged: Judged = { borne: 0, violations: 0, replies: 0, noise: 0 }
  const { hangs, burnt } = await openings(chance)
  await inParallel(CHANNELS, WIDTH, (index) => channel(index, chance, judged))
  const during = await good.pace()
  await setTimeout(QUIET_MS)
  const after = await good.pace()
  await good.stop()
  const grown = memoryOf(task.pid).now - memory

  const cases = OPENINGS + judged.borne + judged.violations + judged.replies + judged.noise
  const ratio = rateOf(during) / ((rateOf(before) + rateOf(after)) / 2)
  const crashes = task.alive ? 0 : 1
  tell(
    3,
    `${cases} cases (${OPENINGS} openings, ${judged.borne} frames borne, ${judged.violations} violations, ${judged.replies} hostile replies, ${judged.noise} noise), ` +
      `${crashes} crashes, ${lastWords(task.log).length} unhandled, ${hangs} hangs, ${burnt} tickets burnt; the good tunnel: ` +
      `${during.answered} answers, ${during.failed} failed, ${(100 * ratio).toFixed(0)} % of its rate, longest ${during.longest} ms ` +
      `(${after.longest} ms without); memory +${grown.toFixed(0)} MiB`,
    began,
  )
  expect(task.alive).toBe(true)
  expect(lastWords(task.log)).toEqual([])
  expect({ hangs, burnt }).toEqual({ hangs: 0, burnt: 0 })
  expect(during.failed).toBe(0)
  expect(ratio).toBeGreaterThanOrEqual(0.9)
  expect(grown).toBeLessThan(GROWTH_MIB)
  expect(cases).toBeGreaterThanOrEqual(size(50_000, 1_000_000))
}, 1_800_000)
