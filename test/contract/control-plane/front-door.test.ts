/** Floods of anonymous calls at the front of the control plane, with the rates of the deployment. */
import { once } from 'node:events'
import http from 'node:http'
import { text } from 'node:stream/consumers'
import { startControlServer } from '@postern/local/control-server'
import { throttled } from '@postern/local/route-throttle'
import { ADMINISTRATION_CALLS, OTHER_CALLS, TICKET_CALLS } from '@postern/protocol/limits'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { idOf, newWorld, type World } from './call-table.ts'

const FLOOD = { perSecond: 1000, seconds: 2 }
/** So many calls of the flood come between two movements of the clock. */
const STEP_MS = 50

let world: World
let front: Awaited<ReturnType<typeof startControlServer>>
const clock = { ms: 0 }
const agent = new http.Agent({ keepAlive: true, maxSockets: 50 })

beforeAll(async () => {
  world = await newWorld()
  front = await startControlServer()
})
beforeEach(() => {
  const app = throttled(
    (request, sourceIp) => world.app.fetch(request, { sourceIp }),
    () => clock.ms,
  )
  front.serve(app)
})
afterAll(async () => {
  agent.destroy()
  await front.stop()
  await world.stop()
})

/** The status of the answer to one call from that address. */
async function statusOf(method: string, path: string, from: string, bearer?: string): Promise<number> {
  const headers = { 'x-forwarded-for': from, ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }) }
  const request = http.request({ port: front.port, agent, method, path, headers }).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  await text(response)
  return response.statusCode!
}

/** How often each status was answered. After each second of it `meanwhile` is carried out. */
async function flood(method: string, path: string, meanwhile: () => Promise<void>): Promise<Map<number, number>> {
  const statuses = new Map<number, number>()
  const calls = (FLOOD.perSecond * STEP_MS) / 1000
  for (let ms = 0; ms < FLOOD.seconds * 1000; ms += STEP_MS) {
    clock.ms += STEP_MS
    const answered = await Promise.all(
      Array.from({ length: calls }, (_, i) => statusOf(method, path, `198.51.100.${i % 200}`)),
    )
    for (const status of answered) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    if (ms % 1000 === 0) await meanwhile()
  }
  return statuses
}

describe.each([
  ['POST', '/v1/tickets'],
  ['POST', '/v1/anything'],
  ['GET', '/v1/audit'],
] as const)('a flood of %s %s', (method, path) => {
  test('refuses no revocation', async () => {
    const revoked: number[] = []
    const statuses = await flood(method, path, async () => {
      const id = await idOf(world, await world.give('ann'))
      revoked.push(await statusOf('DELETE', `/v1/tokens/${id}`, '192.0.2.7', world.root))
    })
    expect(revoked).toEqual(Array.from({ length: FLOOD.seconds }, () => 204))
    if (path === '/v1/anything') return expect([...statuses.keys()]).toEqual([404])
    const { perSecond, atOnce } = path === '/v1/tickets' ? TICKET_CALLS : ADMINISTRATION_CALLS
    const throttledAtLeast = (FLOOD.perSecond - perSecond) * FLOOD.seconds - atOnce
    expect(statuses.get(429)).toBeGreaterThanOrEqual(throttledAtLeast)
  })
})

test('a call that came too often may come again when its bucket has filled', async () => {
  const { perSecond, atOnce } = OTHER_CALLS
  const ask = () => statusOf('HEAD', '/healthz', '192.0.2.7')
  for (let calls = 0; calls < atOnce; calls++) expect(await ask()).toBe(200)
  expect(await ask()).toBe(429)
  clock.ms += 1000 / perSecond
  expect([await ask(), await ask()]).toEqual([200, 429])
})
