import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import {
  CHANNEL_AGE_MS,
  CHANNEL_AGE_SPREAD,
  CHANNEL_BYTES,
  CHANNEL_WEAR_CHECK_MS,
  DRAIN_END_MS,
  REPLACED_CHANNEL_MS,
} from '@postern/protocol/limits'
import { WindowBudget } from '@postern/protocol/mux'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { dialChannel } from './dial-channel.ts'
import type { Wear } from './link.ts'
import { LocalServer } from './local-server.ts'
import { startChannelServer } from './testing/channel-server.ts'

// 64 GiB take longer than a test: here a channel is worn by a MiB.
vi.mock('@postern/protocol/limits', async (original) => ({
  ...(await original<typeof import('@postern/protocol/limits')>()),
  CHANNEL_BYTES: 1024 * 1024,
}))

const undo: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const step of undo.splice(0).reverse()) await step()
})

/** An open channel whose clock the test sets, and whose wear is looked at when the test says so. */
async function setup({ random = 0.5, origin = (_socket: Socket): void => {} } = {}) {
  const server = await startChannelServer()
  const local = createServer(origin).listen(0, '127.0.0.1')
  await once(local, 'listening')
  undo.push(
    () => server.stop(),
    () => local.close(),
  )
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const clock = { ms: 1000 }
  const { channel } = await dialChannel(
    server.ticket,
    {
      hello: { version: '0', instanceId: 'i', slot: 0, pool: false, rules: {} },
      server: new LocalServer(['127.0.0.1'], (local.address() as AddressInfo).port),
      budget: new WindowBudget(0),
      now: () => clock.ms,
      random: () => random,
    },
    new AbortController().signal,
  )
  const wears: Wear[] = []
  void channel.worn.then((wear) => wears.push(wear))
  /** What it says of its wear when it looks next. */
  const look = async (): Promise<readonly Wear[]> => {
    vi.advanceTimersByTime(CHANNEL_WEAR_CHECK_MS)
    await Promise.resolve()
    return wears
  }
  return { channel, clock, look, far: server.channels[0]! }
}

const WORN = { why: { code: 'channel-closed' }, finishMs: REPLACED_CHANNEL_MS + DRAIN_END_MS }

describe('a channel wants a successor', () => {
  test.each([
    ['nine tenths of a day', 0, 1 - CHANNEL_AGE_SPREAD],
    ['a day', 0.5, 1],
    ['eleven tenths of a day', 1, 1 + CHANNEL_AGE_SPREAD],
  ])('after %s, as chance has it, and serves on until it stands', async (_age, random, days) => {
    const { channel, clock, look } = await setup({ random })
    const parted = vi.fn()
    void channel.parted.then(parted)
    const longest = Math.round(CHANNEL_AGE_MS * days)
    clock.ms += longest - 1
    expect(await look()).toEqual([])
    clock.ms += 2
    expect(await look()).toMatchObject([WORN])
    expect(parted).not.toHaveBeenCalled()
  })

  test.each(['in', 'out'] as const)('after so many bytes %s', async (direction) => {
    const chunk = randomBytes(64 * 1024)
    let answered = 0
    const { look, far } = await setup({
      origin: (socket) => {
        socket.on('error', () => undefined).resume()
        if (direction === 'out') for (let sent = 0; sent < CHANNEL_BYTES; sent += chunk.length) socket.write(chunk)
        socket.on('data', (data) => {
          answered += data.length
        })
      },
    })
    const stream = far.openStream()
    let room = (): void => {}
    let received = 0
    stream.listen({
      data: (data) => {
        received += data.length
        stream.consume(data.length)
      },
      writable: () => room(),
      end: () => {},
      reset: () => {},
    })
    const half = CHANNEL_BYTES / 2
    const send = async (bytes: number): Promise<void> => {
      for (let sent = 0; sent < bytes; sent += chunk.length) {
        const writable = new Promise<void>((resolve) => {
          room = resolve
        })
        if (!stream.write(chunk)) await writable
      }
    }
    if (direction === 'in') {
      await send(half)
      await vi.waitFor(() => expect(answered).toBe(half), 5000)
      expect(await look()).toEqual([])
      await send(half)
      await vi.waitFor(() => expect(answered).toBe(2 * half), 5000)
    } else {
      expect(await look()).toEqual([])
      stream.write(Buffer.from('.'))
      await vi.waitFor(() => expect(received).toBe(CHANNEL_BYTES), 5000)
    }
    expect(await look()).toMatchObject([WORN])
  })
})

test('a channel that is over is looked at no more', async () => {
  const { channel, clock, look } = await setup()
  channel.leave(0)
  await channel.ended
  clock.ms += 2 * CHANNEL_AGE_MS
  expect(await look()).toEqual([])
  expect(vi.getTimerCount()).toBe(0)
})
