/** Which connection ends when there are as many as there may be, and which is refused. */
import type { ProxyPolicy } from '@postern/protocol/channel'
import { EVICTION_SEARCH_MS, SWEEP_MS, VISITOR_IDLE_MS } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { SeenRequest, visit } from '../testing/h2-visitor.ts'
import { type PublicStand, startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'
import { VisitorCeilings } from './visitor-ceilings.ts'

const CROWD = '127.0.0.2'
const GUEST = '127.0.0.3'
const NEWCOMER = '127.0.0.4'
const OTHER = '127.0.0.5'
const GET = 'GET / HTTP/1.1\r\nHost: demo.example.com\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const UNKNOWN = 'GET / HTTP/1.1\r\nHost: none.example.com\r\nAccept: text/html\r\n\r\n'
const REFUSED = 'tunnel-error: visitors-exhausted'

async function standWith(limits: { perTask?: number; perAddress?: number }, proxyProtocol: ProxyPolicy = 'off') {
  const route = new ScriptedRoute()
  const stand = await startPublicStand(toDemo(route), { ceilings: new VisitorCeilings(limits), proxyProtocol })
  return { route, ...stand }
}

/** A connection without a request, as soon as it is counted. */
async function idle({ port, listener }: PublicStand, address: string): Promise<Browser> {
  const before = listener.visitors
  const browser = new Browser(port, address)
  await expect.poll(() => listener.visitors).toBe(before + 1)
  return browser
}

/** A connection whose request is under way. */
async function busy(stand: PublicStand, route: ScriptedRoute, address: string): Promise<Browser> {
  const leased = route.leased(route.leases.length)
  const browser = new Browser(stand.port, address).send(GET)
  await leased
  return browser
}

/** A connection that has had an answer, and the first byte of its next head, which came with the request before. */
function unfinished({ port }: PublicStand, address: string): Promise<Browser> {
  return new Browser(port, address).send(`${UNKNOWN}G`).until(({ text }) => text.includes('</html>'))
}

/** Sends requests from that address until one is not refused. Evicted connections are looked for again after a moment. */
async function servedSoon(stand: PublicStand, address: string): Promise<void> {
  await expect
    .poll(async () => {
      stand.wait(EVICTION_SEARCH_MS)
      const browser = new Browser(stand.port, address).send(`${UNKNOWN.slice(0, -2)}Connection: close\r\n\r\n`)
      return (await browser.until(({ ended }) => ended)).text
    })
    .toContain('tunnel-not-found')
}

async function served(stand: PublicStand, route: ScriptedRoute, address: string): Promise<Browser> {
  const leased = route.leased(route.leases.length)
  const browser = new Browser(stand.port, address).send(GET)
  const { stream } = await leased
  stream.answer(OK)
  return browser.until(({ text }) => text.endsWith('ok'))
}

test('the oldest idle connection of the largest crowd ends for a newcomer, one for each', async () => {
  const { route, ...stand } = await standWith({ perTask: 5 })
  const guest = await idle(stand, GUEST)
  await busy(stand, route, CROWD)
  const [first, second, third] = [await idle(stand, CROWD), await idle(stand, CROWD), await idle(stand, CROWD)]
  await served(stand, route, NEWCOMER)
  await first.until(({ ended }) => ended)
  await served(stand, route, NEWCOMER)
  await second.until(({ ended }) => ended)
  expect([guest.ended, third.ended, stand.faults]).toEqual([false, false, []])
})

test('an idle connection of HTTP/2 ends as well, and one with a request does not', async () => {
  const { route, ...stand } = await standWith({ perTask: 2 })
  const session = visit(stand.port)
  const closed = new Promise<void>((resolve) => session.once('close', resolve))
  await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()))
  const other = await busy(stand, route, CROWD)
  await served(stand, route, NEWCOMER)
  await closed
  expect([other.ended, stand.faults]).toEqual([false, []])
})

test('an address at its own ceiling ends nobody else’s connection', async () => {
  const { route, ...stand } = await standWith({ perTask: 3, perAddress: 2 })
  await busy(stand, route, CROWD)
  await busy(stand, route, CROWD)
  const guest = await idle(stand, GUEST)
  const refused = await new Browser(stand.port, CROWD).send(GET).until(({ ended }) => ended)
  expect(refused.text).toContain(REFUSED)
  expect(guest.ended).toBe(false)
})

test('an address at its own ceiling gives up an idle connection of its own, and nobody else does', async () => {
  const { route, ...stand } = await standWith({ perTask: 3, perAddress: 2 })
  const guest = await idle(stand, GUEST)
  await busy(stand, route, CROWD)
  const own = await idle(stand, CROWD)
  await served(stand, route, CROWD)
  await own.until(({ ended }) => ended)
  expect([guest.ended, stand.faults]).toEqual([false, []])
})

test('an address that is refused does not keep others from the place of an idle connection', async () => {
  const { route, ...stand } = await standWith({ perTask: 3, perAddress: 2 })
  await busy(stand, route, CROWD)
  await busy(stand, route, CROWD)
  const guest = await idle(stand, GUEST)
  await new Browser(stand.port, CROWD).until(({ ended }) => ended)
  await served(stand, route, NEWCOMER)
  await guest.until(({ ended }) => ended)
})

test('connections that were refused take nobody’s place, and end soon, whatever they send', async () => {
  const { route, ...stand } = await standWith({ perTask: 1 })
  const first = await busy(stand, route, CROWD)
  const refused = Array.from({ length: 3 }, () => new Browser(stand.port, CROWD))
  const dripping = setInterval(() => {
    for (const { socket } of refused) socket.write('x')
  }, SWEEP_MS / 20)
  for (const browser of refused) await browser.until(({ text }) => text.includes(REFUSED))
  route.leases[0]!.stream.answer(OK)
  await first.until(({ text }) => text.endsWith('ok'))
  stand.wait(EVICTION_SEARCH_MS)
  await served(stand, route, NEWCOMER)
  for (const browser of refused) await browser.until(({ closed }) => closed)
  clearInterval(dripping)
})

test('an address that was refused is counted no longer', async () => {
  const { route, ...stand } = await standWith({ perTask: 1, perAddress: 1 })
  const crowd = await busy(stand, route, CROWD)
  await new Browser(stand.port, NEWCOMER).until(({ ended }) => ended)
  crowd.socket.resetAndDestroy()
  await expect.poll(() => stand.listener.visitors).toBe(0)
  await served(stand, route, NEWCOMER)
})

test('connections of which the balancer has yet to say whose they are are no more than there may be visitors', async () => {
  const stand = await standWith({ perTask: 2 }, 'required')
  const silent = [new Browser(stand.port), new Browser(stand.port), new Browser(stand.port)]
  await Promise.any(silent.map((browser) => browser.until(({ text }) => text.includes(REFUSED))))
  expect(silent.filter(({ text }) => text !== '')).toHaveLength(1)
})

test('a connection that has not finished a head ends for a newcomer of an address with fewer, after the idle ones', async () => {
  const { route, ...stand } = await standWith({ perTask: 4 })
  const head = await unfinished(stand, CROWD)
  const working = await busy(stand, route, CROWD)
  const waiting = await idle(stand, CROWD)
  const guest = await unfinished(stand, GUEST)
  const first = await busy(stand, route, NEWCOMER)
  await waiting.until(({ ended }) => ended)
  expect(head.ended).toBe(false)
  const refused = await new Browser(stand.port, NEWCOMER).until(({ ended }) => ended)
  expect(refused.text).toContain(REFUSED)
  await servedSoon(stand, OTHER)
  await head.until(({ ended }) => ended)
  expect([working, guest, first].map(({ ended }) => ended)).toEqual([false, false, false])
})

test('an address with as many connections as another ends none of its unfinished heads', async () => {
  const { route, ...stand } = await standWith({ perTask: 2 })
  const guest = await unfinished(stand, GUEST)
  await busy(stand, route, CROWD)
  for (const address of [CROWD, NEWCOMER]) {
    stand.wait(EVICTION_SEARCH_MS)
    const refused = await new Browser(stand.port, address).until(({ ended }) => ended)
    expect(refused.text).toContain(REFUSED)
  }
  expect(guest.ended).toBe(false)
})

test('newcomers of the largest crowd do not keep another address from the place of an unfinished head', async () => {
  const { route, ...stand } = await standWith({ perTask: 3 })
  const head = await unfinished(stand, CROWD)
  await busy(stand, route, CROWD)
  await busy(stand, route, GUEST)
  const refused = await new Browser(stand.port, CROWD).until(({ ended }) => ended)
  expect(refused.text).toContain(REFUSED)
  await served(stand, route, NEWCOMER)
  await head.until(({ ended }) => ended)
})

test('a connection whose visitor does not read answers of ours ends for a newcomer, one whose request is under way does not', async () => {
  const { route, ...stand } = await standWith({ perTask: 3 })
  const unread = await idle(stand, CROWD)
  unread.socket.pause()
  unread.send(UNKNOWN.repeat(100_000))
  const working = await busy(stand, route, CROWD)
  const guest = await busy(stand, route, GUEST)
  await servedSoon(stand, NEWCOMER)
  expect(stand.recorded).toContain('HTTP/1.1 404 cut tunnel-not-found')
  expect([working.ended, guest.ended]).toEqual([false, false])
})

test('over HTTP/2 a connection ends for a newcomer if all of its streams only have an answer of ours left', async () => {
  const { route, ...stand } = await standWith({ perTask: 3 })
  const unread = { localAddress: CROWD, settings: { initialWindowSize: 0 } }
  const [answered, working] = [visit(stand.port, unread), visit(stand.port, unread)]
  for (const session of [answered, working]) void new SeenRequest(session, { ':authority': 'none.example.com' })
  void new SeenRequest(working, {})
  await route.leased(0)
  await expect.poll(() => stand.counted.length).toBe(3)
  await busy(stand, route, GUEST)
  const closed = new Promise<void>((resolve) => answered.once('close', resolve))
  await served(stand, route, NEWCOMER)
  await closed
  expect(working.destroyed).toBe(false)
})

test('an answer of ours that is not taken is given up as soon as an idle connection', async () => {
  const { port, recorded, wait } = await standWith({})
  void new SeenRequest(visit(port, { settings: { initialWindowSize: 0 } }), { ':authority': 'none.example.com' })
  await expect
    .poll(() => {
      wait(VISITOR_IDLE_MS)
      return recorded
    })
    .toEqual(['HTTP/2.0 404 cut tunnel-not-found'])
})
