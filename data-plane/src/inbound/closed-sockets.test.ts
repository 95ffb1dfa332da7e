/** WebSockets that one end has closed when the node stops, their stream is needed, or the visitor leaves. */
import { Socket } from 'node:net'
import { BODY_IDLE_MS, SLOW_VISITOR_MS, SWEEP_MS, UNREAD_REQUEST_MS } from '@postern/protocol/limits'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Browser } from '../testing/browser.ts'
import { startPublicStand, toDemo } from '../testing/public-stand.ts'
import { ScriptedTunnel } from '../testing/scripted-tunnel.ts'

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: demo.example.com\r\n${more}\r\n`
const WEBSOCKET = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
const UPGRADED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
/** 64 KiB of binary data. */
const FRAME = `\x82\x7f\0\0\0\0\0\x01\0\0${'x'.repeat(65_536)}`
const RESTARTING = '\x88\x02\x03\xf4'
const CLOSE_BY_VISITOR = '\x88\x82maskxy'

/** A WebSocket through a tunnel of one stream, by a clock that the test moves on. */
async function openSocket() {
  let ahead = 0
  const tunnel = new ScriptedTunnel(1, () => performance.now() + ahead)
  const stand = await startPublicStand(toDemo(tunnel.route))
  const pass = (ms: number): void => {
    ahead += ms
    stand.wait(ms)
    tunnel.route.sweep()
  }
  const browser = new Browser(stand.port).send(get('/ws', WEBSOCKET))
  const stream = await tunnel.stream(0)
  stream.answer(UPGRADED)
  await browser.until(({ text }) => text.endsWith('\r\n\r\n'))
  const head = browser.text.length
  return { ...stand, tunnel, pass, browser, stream, head }
}

type Open = Awaited<ReturnType<typeof openSocket>>

test.each<[when: string, happen: (open: Open) => Promise<void>]>([
  ['the node stops', async ({ listener }) => void listener.drain(0, 60_000)],
  [
    'its stream is needed',
    async ({ port, tunnel, pass }) => {
      new Browser(port, '127.0.0.2').send(get('/other'))
      await expect.poll(() => tunnel.route.queue.size).toBe(1)
      pass(SLOW_VISITOR_MS)
      pass(SLOW_VISITOR_MS)
      await tunnel.stream(1)
    },
  ],
])('a slow visitor gets all that its local server sent before it ended, when %s', async (_when, happen) => {
  const open = await openSocket()
  const { browser, stream, head } = open
  browser.socket.pause()
  for (let frames = 0; frames < 256; frames++) stream.answer(FRAME)
  stream.endLocally()
  await happen(open)
  browser.socket.resume()
  await browser.until(({ ended }) => ended)
  expect([browser.error, browser.text.length - head]).toEqual([undefined, 256 * FRAME.length])
  expect(browser.text).not.toContain(RESTARTING)
})

test('a visitor that takes nothing of what is left for it is cut off by a reset, not by an end in good order', async () => {
  const { browser, stream, listener, pass } = await openSocket()
  browser.socket.pause()
  for (let frames = 0; frames < 256; frames++) stream.answer(FRAME)
  stream.endLocally()
  void listener.drain(0, 60_000)
  await stream.until(({ state }) => state === 'reset')
  // libuv reports some resets as an end to a client that reads on.
  const resets = vi.spyOn(Socket.prototype, 'resetAndDestroy')
  onTestFinished(() => resets.mockRestore())
  pass(BODY_IDLE_MS)
  await expect
    .poll(() => {
      pass(SWEEP_MS)
      return listener.visitors
    })
    .toBe(0)
  expect(resets).toHaveBeenCalledTimes(1)
})

test('the stream of a visitor that has closed behind the end of its node ends, too, if its local server never does', async () => {
  const { browser, stream, listener, tunnel, pass } = await openSocket()
  const drained = listener.drain(0, 60_000)
  await browser.until(({ text, ended }) => text.endsWith(RESTARTING) && ended)
  browser.send(CLOSE_BY_VISITOR).socket.end()
  await drained
  expect([stream.received.endsWith('maskxy'), stream.state, tunnel.open]).toEqual([true, 'ended', 1])
  stream.answer(FRAME)
  expect(stream.state).toBe('ended')
  pass(UNREAD_REQUEST_MS)
  expect([stream.state, tunnel.open]).toEqual(['reset', 0])
})
