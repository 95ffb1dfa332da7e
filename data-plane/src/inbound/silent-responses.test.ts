/** Visitors that wait in silence, by HTTP/1.1: for as long as they are there, and no longer. */
import { BODY_IDLE_MS, PAUSED_PROBE_MS, SWEEP_MS } from '@postern/protocol/limits'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedRoute } from '../testing/scripted-route.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n\r\n`
const post = (more: string) => `POST / HTTP/1.1\r\nHost: demo.example.com\r\nContent-Length: 9\r\n${more}`
const EVENTS = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n'

/** A visitor that has sent these bytes. `ends`: it has ended its writing, too. `pass` lets time pass, with a sweep at its end. */
async function waiting(request: string, { ends = false, firstByteMs }: { ends?: boolean; firstByteMs?: number } = {}) {
  const route = Object.assign(new ScriptedRoute(), firstByteMs === undefined ? {} : { firstByteMs })
  const { wait, ...stand } = await startPublicStand(toDemo(route))
  const browser = new Browser(stand.port).send(request)
  const { stream } = await route.leased(0)
  if (ends) {
    browser.socket.end()
    await stream.until(({ state }) => state === 'ended')
  }
  const pass = async (ms: number): Promise<void> => {
    wait(ms + SWEEP_MS)
    vi.advanceTimersByTime(SWEEP_MS)
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  }
  return { ...stand, browser, stream, pass }
}

/** Visitors of which nothing is read, or that have more to send. */
const QUIET: [what: string, request: string, ends: boolean][] = [
  ['has sent a stray CRLF', `${get('/')}\r\n`, false],
  ['has sent its next request', get('/') + get('/next'), false],
  ['has ended its writing', get('/'), true],
]

test.each([
  ...QUIET,
  ['waits for a 100 Continue', post('Expect: 100-continue\r\n\r\n'), false],
  ['sends its body on', post('\r\nx'), false],
] as typeof QUIET)('an event stream may be silent while its visitor %s', async (_what, request, ends) => {
  const { browser, stream, recorded, pass } = await waiting(request, { ends })
  stream.answer(EVENTS)
  await browser.until(({ text }) => text.includes('data: 1'))
  for (let time = 0; time < 3; time += 1) await pass(BODY_IDLE_MS)
  stream.answer('data: 2\n\n')
  await browser.until(({ text }) => text.includes('data: 2'))
  expect(recorded).toEqual([])
})

test.each(QUIET)('a request without a limit waits on while its visitor %s', async (_what, request, ends) => {
  const { browser, stream, pass } = await waiting(request, { ends, firstByteMs: Infinity })
  for (let time = 0; time < 3; time += 1) await pass(BODY_IDLE_MS)
  stream.answer('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood')
  await browser.until(({ text }) => text.includes('good'))
  expect(browser.text).toMatch(/^HTTP\/1\.1 200 /)
})

test('a visitor that has closed is found by its reset, though its local server is silent from then on', async () => {
  const { browser, stream, listener, pass } = await waiting(get('/'))
  stream.answer(EVENTS)
  await browser.until(({ text }) => text.includes('data: 1'))
  browser.socket.destroy()
  await stream.until(({ state }) => state === 'ended')
  stream.answer('data: 2\n\n')
  await pass(0)
  await pass(PAUSED_PROBE_MS)
  await stream.until(({ state }) => state === 'reset')
  await expect.poll(() => listener.visitors).toBe(0)
})
