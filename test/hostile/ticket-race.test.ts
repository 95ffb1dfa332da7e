/** Fault 4 of docs/reliability.md, on one task: one ticket opened by many at once, and openings that are said again. */
import { randomBytes } from 'node:crypto'
import { toFault } from '@postern/protocol/fault'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { startRecordingRelay } from '../support/recording-relay.ts'
import { dialAgent } from './dial-agent.ts'
import { inParallel, tell } from './experiment.ts'
import { overhear, replay } from './overheard-opening.ts'
import { lastWords, startTaskProcess, type TaskProcess } from './task-process.ts'

const ROUNDS = size(3, 100, 10)
const RACERS = 200
/** Of each round, half before the ticket is spent and half after. */
const REPLAYS = size(100, 1000)
const WRONG_KEYS = 20
/** Replays under way at once: well below the ceiling of openings from one address, which would answer in their place. */
const WIDTH = 32

let task: TaskProcess
beforeAll(async () => {
  // 200 openings at once take the table as long as the machine is slow: the task waits for it until it has answered.
  task = await startTaskProcess({ POSTERN_TIME_SCALE: '5' })
})
afterAll(() => task.stop())

const opened = (): number => task.log.filter((line) => line.includes('"msg":"tunnel open"')).length
const withWrongKey = (ticket: ChannelTicket): ChannelTicket => ({
  ...ticket,
  encryptionKeyText: randomBytes(32).toString('hex'),
})

test('row 4: of 200 openings with one ticket one wins, and neither replays nor wrong keys burn it', async () => {
  const began = performance.now()
  const faults = new Map<string, number>()
  let acceptedReplays = 0
  const relay = await startRecordingRelay(() => ({ host: '127.0.0.1', port: task.channelPort }))

  for (let round = 1; round <= ROUNDS; round += 1) {
    const ticket = await task.desk.issue(`race-${round}`, relay.port)
    const direct = { ...ticket, port: task.channelPort }
    const overheard = await overhear(ticket, task.channelPort)
    expect(overheard.length, 'the id, the ClientHello and the proof').toBeGreaterThanOrEqual(3)

    // While the ticket is good the replay is let as far as TLS, and no further.
    await inParallel(REPLAYS / 2, WIDTH, async () => {
      if ((await replay(overheard, task.channelPort)).accepted) acceptedReplays += 1
    })
    await inParallel(WRONG_KEYS, WIDTH, async () => {
      await expect(dialAgent(withWrongKey(direct), 1)).rejects.toMatchObject({ code: 'key-mismatch' })
    })
    expect(opened(), `tunnels before the race of round ${round}`).toBe(round - 1)

    const first = relay.recordings.length
    const race = await Promise.allSettled(Array.from({ length: RACERS }, () => dialAgent(ticket, 1)))
    const winners = race.filter((racer) => racer.status === 'fulfilled').map((racer) => racer.value)
    for (const racer of race) {
      if (racer.status === 'rejected') count(faults, toFault(racer.reason).code)
    }
    expect(winners.length, `winners of round ${round}`).toBe(1)
    const openings = relay.recordings.slice(first).map(({ fromClient }) => fromClient)

    // Now the recordings hold the winner's whole opening, and more.
    await inParallel(REPLAYS / 2, WIDTH, async (index) => {
      const { accepted } = await replay(openings[index % RACERS]!, task.channelPort)
      expect(accepted, 'a spent ticket is not even let as far as TLS').toBe(false)
    })
    await Promise.all(winners.map((winner) => winner.leave(0)))
    expect(opened(), `tunnels after round ${round}`).toBe(round)
  }
  await relay.stop()

  // A table that does not answer in time leaves an outcome unknown: that is said as such, never as a refusal. On a busy machine a few are.
  const { 'ticket-refused': refused = 0, 'server-busy': unknown = 0, ...others } = Object.fromEntries(faults)
  expect(others, 'what else the losers were told').toEqual({})
  expect(unknown / (refused + unknown), 'losers whose outcome stayed unknown').toBeLessThan(0.01)
  const losers = [...faults].map(([code, times]) => `${times} ${code}`).join(', ')
  tell(
    4,
    `${ROUNDS} rounds of ${RACERS} openings, ${opened()} winners (losers: ${losers}), ${ROUNDS * REPLAYS} replays ` +
      `(${acceptedReplays} of them with the ticket still good) and ${ROUNDS * WRONG_KEYS} wrong keys: 0 opened, 0 tickets burnt`,
    began,
  )
  expect(task.alive).toBe(true)
  expect(lastWords(task.log)).toEqual([])
}, 1_800_000)

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
