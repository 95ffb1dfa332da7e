/** Fault 6 of docs/reliability.md: slow readers beside fast ones, and a greedy tenant beside a quiet one. */
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Forked, startForked } from '../support/forked.ts'
import { size } from '../support/full-size.ts'
import { memoryOf } from '../support/peak-memory.ts'
import { tell } from './experiment.ts'
import { ENDLESS_PATH, type GoodTunnel, type GoodTunnelOrder, type Pace, startGoodTunnel } from './good-tunnel.ts'
import type { GreedyCounts, GreedyOrder } from './greedy-tenant.ts'
import { BASE } from './memory-task.ts'

const MiB = 1024 * 1024
/** The full size is a task's. The usual one is so small that 256 stalled streams are more than it bears, as 5,120 are for that. */
const LIMIT_BYTES = size(32, 512) * MiB
const CHANNELS = size(1, 20)
const STREAMS_PER_CHANNEL = 256
const SLOW_READERS = size(20, 200)
/** What a slow reader takes ten times a second. */
const SIP_BYTES = 4096
const SIP_MS = 100
const ROUNDS = size(3, 7)
/** From the moment in which nothing of the greedy tenant moves any more to that in which it counts. */
const SETTLING_MS = 500
/** A pause of the machine of 20 ms meets each quiet visitor once: in a window much shorter than this it would be the hundredth part by itself. */
const WINDOW_MS = size(4000, 5000)
/** 40 answers a second: well below what a task can do, and each may take half a second, so that what is missing was taken from it. */
const FAST = { visitors: 20, paceMs: 500, answerBytes: size(64, 256) * 1024 }
/** 200 requests a second: the hundredth part of a window is eight, of a full one ten. */
const QUIET = { visitors: 4, paceMs: 20, alsoDirect: true }
/** A wait below this says how busy the machine is, whose processors everybody here shares. */
const NOISE_MS = 5
/** What a process of Node takes before it holds anything for anybody, and what it has not collected yet. */
const PROCESS_BYTES = 192 * MiB

interface Ports {
  readonly public: number
  readonly channel: number
}

let task: Forked
let greedy: Forked
let ports: Ports
beforeAll(async () => {
  task = startForked(new URL('./limited-task-main.ts', import.meta.url))
  greedy = startForked(new URL('./greedy-tenant-main.ts', import.meta.url))
  ports = await task.ask<Ports>({ limit: LIMIT_BYTES })
}, 30_000)
afterAll(async () => {
  await greedy?.stop()
  await task?.stop()
})

const hostOf = (subdomain: string): string => `${subdomain}.${BASE}`
const ticketFor = (subdomain: string, username: string): Promise<ChannelTicket> =>
  task.ask({ subdomain, port: ports.channel, username })

async function good(subdomain: string, how: Partial<GoodTunnelOrder>): Promise<GoodTunnel> {
  const ticket = await ticketFor(subdomain, subdomain)
  return startGoodTunnel({ ...how, ticket, publicPort: ports.public, host: hostOf(subdomain) })
}

/** Visitors who read a little ever so often. Returns what ends them; it answers how many were still served. */
function readSlowly(host: string): () => number {
  const sockets = Array.from({ length: SLOW_READERS }, () => {
    const socket: Socket = connect({ host: '127.0.0.1', port: ports.public, localAddress: '127.0.0.2' })
    socket.on('error', () => {})
    socket.write(`GET ${ENDLESS_PATH} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    return socket
  })
  const sips = setInterval(() => {
    for (const socket of sockets) socket.read(SIP_BYTES)
  }, SIP_MS)
  return () => {
    clearInterval(sips)
    const served = sockets.filter((socket) => !socket.destroyed && socket.bytesRead > 0).length
    for (const socket of sockets) socket.resetAndDestroy()
    return served
  }
}

/** What they ask for. Whoever was held up before asks for more until it has made up for it, and that is not their rate. */
const FAST_PER_SECOND = (FAST.visitors * 1000) / FAST.paceMs
const rateOf = ({ perSecond }: Pace): number => Math.min(perSecond, FAST_PER_SECOND)

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!

test('row 6: slow readers take nothing from fast ones, nor a greedy tenant from a quiet one, and memory stays bounded', async () => {
  const began = performance.now()
  const fast = await good('fast', FAST)
  const quiet = await good('quiet', QUIET)
  const names = Array.from({ length: CHANNELS }, (_, index) => `greedy-${index}`)
  const tickets: ChannelTicket[] = []
  for (const name of names) tickets.push(await ticketFor(name, 'greedy'))
  const order: GreedyOrder = {
    publicPort: ports.public,
    tickets,
    hosts: names.map(hostOf),
    visitors: STREAMS_PER_CHANNEL,
  }
  await greedy.ask(order)

  const rounds: { calm: [fast: Pace, quiet: Pace]; greedy: [fast: Pace, quiet: Pace] }[] = []
  const paces = async (): Promise<[Pace, Pace]> => [await fast.pace(), await quiet.pace()]
  const counts: GreedyCounts[] = []
  const failures: string[] = []
  const note = (round: string, paces: readonly Pace[]): void => {
    for (const [at, pace] of paces.entries())
      for (const [what, count] of Object.entries(pace.failures))
        failures.push(`${round}, ${at === 0 ? 'fast' : 'quiet'}: ${count} × ${what}`)
  }
  let slowlyServed = 0
  await setTimeout(WINDOW_MS)
  for (let round = 0; round < ROUNDS; round += 1) {
    await paces()
    await setTimeout(WINDOW_MS)
    const calm = await paces()
    const stopReading = readSlowly(hostOf('fast'))
    await greedy.ask('stall')
    await setTimeout(SETTLING_MS)
    note(`round ${round}, while they come`, await paces())
    await setTimeout(WINDOW_MS)
    rounds.push({ calm, greedy: await paces() })
    slowlyServed += stopReading()
    counts.push(await greedy.ask<GreedyCounts>('leave'))
    // What they left is given back, and no longer theirs to answer for.
    await setTimeout(WINDOW_MS / 4)
  }
  await Promise.all([fast.stop(), quiet.stop()])

  const rate = median(rounds.map(({ calm, greedy: beside }) => rateOf(beside[0]) / rateOf(calm[0])))
  const calmP99 = median(rounds.map(({ calm }) => calm[1].p99))
  const besideP99 = median(rounds.map(({ greedy: beside }) => beside[1].p99))
  const directP99 = median(rounds.map(({ greedy: beside }) => beside[1].directP99))
  const wait = besideP99 / Math.max(calmP99, directP99, NOISE_MS)
  for (const [round, { calm, greedy: beside }] of rounds.entries()) {
    note(`round ${round}, calm`, calm)
    note(`round ${round}, beside`, beside)
  }
  const peak = memoryOf(task.pid).peak
  const sum = (of: (count: GreedyCounts) => number): number => counts.reduce((total, count) => total + of(count), 0)
  tell(
    6,
    `${ROUNDS} rounds of ${SLOW_READERS} slow readers and ${CHANNELS} × ${STREAMS_PER_CHANNEL} who do not read, under ${LIMIT_BYTES / MiB} MiB ` +
      `(${sum(({ stalled }) => stalled)} stood, ${sum(({ gone }) => gone)} were refused or reset, ${slowlyServed} slow readers served to the end): ` +
      `fast readers at ${(100 * rate).toFixed(0)} % of their rate, a quiet tenant’s p99 ${besideP99.toFixed(1)} ms ` +
      `(${calmP99.toFixed(1)} ms without, ${directP99.toFixed(1)} ms for whoever asks the local server itself, ${wait.toFixed(1)} ×), ${failures.length === 0 ? 'none failed' : `failed: ${failures.join('; ')}`}; the process had ${peak.toFixed(0)} MiB at its peak`,
    began,
  )
  expect(failures).toEqual([])
  expect(rate).toBeGreaterThanOrEqual(0.95)
  expect(wait).toBeLessThanOrEqual(3)
  expect(peak).toBeLessThan((LIMIT_BYTES + PROCESS_BYTES) / MiB)
  expect(slowlyServed).toBe(ROUNDS * SLOW_READERS)
  // The experiment itself must have bitten: there was more to hold than there was room.
  expect(sum(({ gone }) => gone)).toBeGreaterThan(0)
  expect(sum(({ stalled }) => stalled)).toBeGreaterThan(0)
}, 1_800_000)
