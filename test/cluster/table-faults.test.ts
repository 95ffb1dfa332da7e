/** Fault 10 of docs/reliability.md: the table is out of reach, throttles, and loses answers. */
import { setTimeout as delay } from 'node:timers/promises'
import type { EmbeddedTable } from '@postern/local/embedded-table'
import { parseServer } from '@postern/protocol/client'
import { Secret } from '@postern/protocol/ticket'
import { afterAll, expect, test } from 'vitest'
import { ControlClient } from '../../agent/src/control-client.ts'
import { dialAgent } from '../hostile/dial-agent.ts'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { size } from '../support/full-size.ts'
import { startTableFront, type TableFront, THROTTLED } from '../support/table-front.ts'
import { type ClusterRun, startRun, waitFor } from './cluster-run.ts'
import { judge } from './history/judge.ts'
import { startLoad } from './load/visitor-load.ts'

const TASKS = 3
const NAMES = 6
const PER_SECOND = size(60, 60)
/** Of each of the three faults. */
const FAULT_MS = size(5000, 60_000)
const BACK_MS = 10_000
/** Contenders for one ticket while answers are lost. */
const CONTENDERS = 4

let run: ClusterRun | undefined
afterAll(() => run?.stop())

test('row 10: without the table, and with one that throttles or loses answers, tunnels lose nothing and no ticket works twice', async () => {
  const began = performance.now()
  const chance = chanceOf(10)
  let front: TableFront
  run = await startRun({
    tasks: TASKS,
    timeScale: 1,
    chance,
    async front(table: EmbeddedTable) {
      front = await startTableFront(table.endpoint)
      return { endpoint: front.endpoint, tableName: table.tableName, stop: () => front.stop() }
    },
  })
  const { cluster, history, witness, tunnel } = run
  const { balancer, system } = cluster
  const names = Array.from({ length: NAMES }, (_, index) => `lasting-${index}`)
  await Promise.all(names.map((name) => witness(name)))
  const token = (await system.token('tester')).reveal()
  const control = new ControlClient({ server: parseServer(cluster.server), token: new Secret(token), version: '0.0.0' })
  const load = startLoad({
    port: balancer.ports.public,
    tunnels: names.map(tunnel),
    perSecond: PER_SECOND,
    clients: 20,
    random: () => chance.next(),
    history,
    entryOf: (clientPort) => balancer.entryOf(clientPort),
    posts: 0.2,
    slow: 0.05,
    slowMs: 500,
  })
  // Until each task has been asked for each name, and knows where it is.
  await waitFor('every task has served every name', () => {
    const seen = new Set(
      history.of('asked').map(({ entry, name, outcome }) => (outcome === 'ok' ? `${entry} ${name}` : '')),
    )
    return cluster.service.tasks.every(({ id }) => names.every((name) => seen.has(`${id} ${name}`)))
  })

  /** What whoever asks for a ticket is told meanwhile; each answer once. */
  const ticketAnswers = async (): Promise<Set<string>> => {
    const answers = new Set<string>()
    const until = performance.now() + FAULT_MS
    while (performance.now() < until) {
      const answer = await fetch(`${cluster.server}/v1/tickets`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ username: 'tester', subdomain: 'wanted' }),
      })
      const retry = answer.headers.has('retry-after') ? ' with Retry-After' : ''
      await answer.arrayBuffer()
      answers.add(`${answer.status}${retry}`)
      await delay(250)
    }
    return answers
  }
  const back: number[] = []
  const opensAgain = async (name: string): Promise<void> => {
    const since = performance.now()
    front.use(() => 'pass')
    const agent = await witness(name)
    back.push(performance.now() - since)
    await agent.stop()
  }

  history.note('table', 'out of reach')
  front!.use(() => (chance.once(2) ? 'cut' : 'hang'))
  const unreachable = await ticketAnswers()
  await opensAgain('back-1')

  history.note('table', 'throttles half of all calls')
  front!.use(() => (chance.once(2) ? THROTTLED : 'pass'))
  const throttled = await ticketAnswers()
  await opensAgain('back-2')

  history.note('table', 'loses a fifth of its answers')
  front!.use(() => (chance.once(5) ? 'lose' : 'pass'))
  const until = performance.now() + FAULT_MS
  const won = new Map<number, number>()
  let tickets = 0
  while (performance.now() < until) {
    const subdomain = `raced-${tickets % 50}`
    const ticket = await control
      .ticket({ username: 'tester', subdomain }, new AbortController().signal)
      .catch(() => undefined)
    if (!ticket) continue
    tickets += 1
    const race = await Promise.allSettled(Array.from({ length: CONTENDERS }, () => dialAgent(ticket, 1)))
    // And once more, when whoever lost an answer may have forgotten.
    race.push(...(await Promise.allSettled([dialAgent(ticket, 1)])))
    const winners = race.flatMap((racer) => (racer.status === 'fulfilled' ? [racer.value] : []))
    won.set(winners.length, (won.get(winners.length) ?? 0) + 1)
    for (const winner of winners) {
      winner.leave(0)
      await winner.ended
    }
  }
  await opensAgain('back-3')
  await load.stop()

  const asked = history.of('asked')
  const faultAt = (time: number): string =>
    history.of('noted').findLast(({ at, who }) => who === 'table' && at <= time)?.what ?? 'before'
  const failed = asked.filter(({ outcome }) => outcome !== 'ok')
  const failures = failed.map(
    ({ method, name, entry, begun, outcome }) => `${method} ${name} at ${entry}, table ${faultAt(begun)}: ${outcome}`,
  )
  const violations = judge(history.events)
  const winnersOf = [...won].sort(([a], [b]) => a - b).map(([winners, times]) => `${times} × ${winners}`)
  tell(
    10,
    `table out of reach, throttling half, losing a fifth of its answers, ${FAULT_MS / 1000} s each: ${load.tally.failed} failed of ${asked.length} requests ` +
      `to live tunnels; tickets meanwhile: ${[...unreachable].join(', ')}; throttled: ${[...throttled].join(', ')}; a new tunnel after ` +
      `${back.map((ms) => `${Math.round(ms)} ms`).join(', ')}; ${tickets} tickets raced by ${CONTENDERS + 1}: winners ${winnersOf.join(', ')}`,
    began,
  )
  expect(failures.slice(0, 20)).toEqual([])
  expect([...unreachable]).toEqual(['503 with Retry-After'])
  for (const answer of throttled) expect(['200', '503 with Retry-After']).toContain(answer)
  expect(Math.max(...back)).toBeLessThanOrEqual(BACK_MS)
  expect(tickets).toBeGreaterThan(0)
  expect(Math.max(...won.keys())).toBeLessThanOrEqual(1)
  expect(violations).toEqual([])
}, 900_000)
