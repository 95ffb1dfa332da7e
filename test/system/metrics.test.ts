/** What a task reports of itself on standard output, against what was done to it. */
import { ENV } from '@postern/protocol/environment'
import type { FaultCode } from '@postern/protocol/fault'
import { type MetricName, SERVICE, TASK_METRIC } from '@postern/protocol/metrics'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ReadMetric, readMetrics } from '../../data-plane/src/testing/metric-reader.ts'
import { tryOpening } from '../support/cut-short-agent.ts'
import { askOnce } from '../support/http-client.ts'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import type { TestProcess } from '../support/test-process.ts'
import { ask, newTicket, visit } from '../support/visits.ts'

/** A report every 6 s. Agents and openings keep a second and more. */
const TIME_SCALE = '0.1'
const BODY_BYTES = 100_000

let system: System
let origin: ScriptedOrigin
let task: TestProcess
let redirectPort: number

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start(async ({ connection, whole }) => {
    await whole()
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${BODY_BYTES}\r\n\r\n${'x'.repeat(BODY_BYTES)}`)
  })
  // Instead of the one that the system has started, which tickets lead to.
  const { ports } = system
  await system.dataPlane.stop()
  task = await system.startDataPlane(ports, {
    POSTERN_TIME_SCALE: TIME_SCALE,
    [ENV.metrics]: 'emf',
    [ENV.publicUrl]: 'https://{subdomain}.localhost',
    [ENV.redirectPort]: '0',
  })
  redirectPort = JSON.parse(await task.firstLine()).redirect.port
})
afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

/** All that the task has reported so far, whole lines only. */
function reported(): ReadMetric[] {
  const lines = task.stdout.split('\n').slice(0, -1)
  return lines.filter((line) => line.startsWith('{"_aws"')).flatMap(readMetrics)
}
const is =
  ({ name, by }: MetricName, value: string) =>
  (metric: ReadMetric) =>
    metric.name === name && metric.dimensions[by[0]!] === value
const valuesOf = (metric: MetricName, value: string = SERVICE.task): number[] =>
  reported()
    .filter(is(metric, value))
    .flatMap(({ values }) => values)
const total = (metric: MetricName, value?: string): number =>
  valuesOf(metric, value).reduce((sum, count) => sum + count, 0)
const faults = (code: FaultCode): number => total(TASK_METRIC.faults, code)

const get = (host: string): string => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`

test('a task reports what it carried, refused and holds, and at its end what is left', async () => {
  // Its own calls shall not be among the requests that are counted.
  const opened = await system.startAgent({ subdomain: 'counted', target: origin.port, server: system.controlUrl })
  const host = 'counted.localhost'
  const visitor = await visit(system)
  for (let i = 0; i < 20; i += 1) expect(statusOf(await visitor.ask(get(host)))).toBe(200)
  visitor.close()
  for (let i = 0; i < 3; i += 1) expect(statusOf(await ask(system, get('nobody.localhost')))).toBe(404)
  expect(statusOf(await ask(system, 'nonsense\r\n\r\n'))).toBe(400)
  const ticket = await newTicket(system, 'spent')
  expect(await tryOpening(ticket)).toBe('welcome')
  expect(await tryOpening(ticket)).toBe('ticket-refused')
  const sent = await askOnce(redirectPort, get(host))
  expect([statusOf(sent), fieldOf(sent, 'location')]).toEqual([308, `https://${host}/`])
  expect(statusOf(await askOnce(redirectPort, get('evil.org')))).toBe(404)

  // One comes every 6 s; the next one may have been begun while requests still were under way.
  const since = reported().length
  const later = (metric: MetricName): number[] =>
    reported()
      .slice(since)
      .filter(is(metric, SERVICE.task))
      .flatMap(({ values }) => values)
  await expect.poll(() => later(TASK_METRIC.tunnels)[0], { timeout: 60_000 }).toBe(1)
  // Nothing is under way, and nothing is not told: streams that wait for another request are not active.
  expect([later(TASK_METRIC.activeStreams), later(TASK_METRIC.heldBytes)]).toEqual([[], []])

  expect(statusOf(await ask(system, get(host)))).toBe(200)
  await opened.process.stop()
  await task.stop()

  // The 21, the three for nobody, and the one for the ticket, which goes to the base domain.
  expect(total(TASK_METRIC.requests)).toBe(25)
  expect(faults('tunnel-not-found')).toBe(3)
  expect(faults('request-invalid')).toBe(1)
  expect(faults('host-unknown')).toBe(1)
  expect(reported().filter(({ name }) => name === TASK_METRIC.faults.name)).toSatisfy(
    (all: ReadMetric[]) => all.flatMap(({ values }) => values).reduce((sum, count) => sum + count, 0) === 5,
  )
  expect(total(TASK_METRIC.openings)).toBe(2)
  expect(valuesOf(TASK_METRIC.openingLatency)).toHaveLength(2)
  for (const ms of valuesOf(TASK_METRIC.openingLatency)) expect(ms).toBeLessThan(10_000)
  expect(total(TASK_METRIC.openingsRefused, 'ticket-refused')).toBe(1)
  expect(total(TASK_METRIC.bytesIn)).toBeGreaterThan(21 * BODY_BYTES)
  expect(total(TASK_METRIC.bytesIn)).toBeLessThan(1.1 * 21 * BODY_BYTES)
  expect(total(TASK_METRIC.bytesOut)).toBeLessThan(50_000)

  // No two reports are of the same time, or the sum over all tasks would not be that; and the last, of a task that is gone, has no gauge.
  const times = reported()
    .filter(is(TASK_METRIC.tunnels, SERVICE.task))
    .map(({ at }) => at)
  expect(new Set(times).size).toBe(times.length)
  expect(reported().at(-1)!.at).toBeGreaterThan(times.at(-1)!)
})
