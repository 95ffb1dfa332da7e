import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { BODY_IDLE_MS } from '@postern/protocol/limits'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { LocalServer, LocalServerListener } from './local-server.ts'
import { OriginConnection } from './origin-connection.ts'
import { HeldStream } from './testing/held-stream.ts'
import { SlowSocket } from './testing/slow-socket.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

function setup() {
  const [stream, socket] = [new HeldStream(), new SlowSocket()]
  const server = { listener: undefined as LocalServerListener | undefined, cancelled: false }
  const counts = { done: 0, delivering: 0 }
  const connection = new OriginConnection({
    stream,
    server: {
      connect(listener: LocalServerListener) {
        server.listener = listener
        return () => {
          server.cancelled = true
        }
      },
    } as unknown as LocalServer,
    fault: () => expect.unreachable(),
    delivering: () => counts.delivering++,
    done: () => counts.done++,
  })
  const connect = (): void => server.listener!.connected(socket as unknown as Socket)
  const give = (text: string): void => stream.listener.data(Buffer.from(text))
  return { stream, socket, server, counts, connection, connect, give }
}

describe('a reset of the stream', () => {
  test('behind the end of the request leaves what was given to the local server, then the connection closes', async () => {
    const { stream, socket, counts, connect, give } = setup()
    connect()
    socket.push('early')
    for (const text of ['one ', 'two ', 'three']) give(text)
    stream.listener.end()
    stream.cut()
    expect([socket.destroyed, counts]).toEqual([false, { done: 0, delivering: 1 }])
    await socket.takeAll()
    expect([socket.taken, socket.wasReset, socket.destroyed]).toEqual(['one two three.', false, true])
    expect([stream.sent, counts]).toEqual(['early', { done: 1, delivering: 1 }])
  })

  test('behind an end that has reached the local server closes the connection, without a reset that would overtake', async () => {
    const { stream, socket, counts, connect, give } = setup()
    connect()
    give('all')
    stream.listener.end()
    await socket.takeAll()
    stream.cut()
    await turn()
    expect([socket.taken, socket.wasReset, socket.destroyed]).toEqual(['all.', false, true])
    expect(counts).toEqual({ done: 1, delivering: 0 })
  })

  test('in the midst of the request resets the connection at once', async () => {
    const { stream, socket, counts, connect, give } = setup()
    connect()
    give('half')
    stream.cut()
    expect([socket.wasReset, counts]).toEqual([true, { done: 1, delivering: 0 }])
    await turn()
    expect(counts).toEqual({ done: 1, delivering: 0 })
  })

  test('before the connection stands gives it up, whatever was given', () => {
    const { stream, server, counts, give } = setup()
    give('all')
    stream.listener.end()
    stream.cut()
    expect([server.cancelled, counts]).toEqual([true, { done: 1, delivering: 0 }])
  })
})

describe('a connection that only delivers what was given', () => {
  function delivering() {
    const parts = setup()
    parts.connect()
    for (const text of ['one ', 'two']) parts.give(text)
    parts.stream.listener.end()
    parts.stream.cut('channel-lost')
    return parts
  }

  test('drops what the local server answers, and keeps it from waiting', async () => {
    const { socket, stream } = delivering()
    for (let answers = 0; answers < 10; answers++) {
      socket.push(Buffer.alloc(100_000))
      await turn()
      expect([socket.isPaused(), socket.readableLength]).toEqual([false, 0])
    }
    await socket.takeAll()
    expect([socket.taken, stream.sent]).toEqual(['one two.', ''])
  })

  test('goes on although the local server has ended its side', async () => {
    const { socket, counts } = delivering()
    socket.push(null)
    await turn()
    expect(socket.destroyed).toBe(false)
    await socket.takeAll()
    expect([socket.taken, socket.destroyed, counts.done]).toEqual(['one two.', true, 1])
  })

  test('ends if the local server resets it', async () => {
    const { socket, counts } = delivering()
    socket.destroy(new Error('ECONNRESET'))
    await turn()
    expect(counts.done).toBe(1)
    vi.advanceTimersByTime(BODY_IDLE_MS)
    expect(socket.wasReset).toBe(false)
  })

  test('is reset when the local server has taken too long', async () => {
    const { socket, counts } = delivering()
    vi.advanceTimersByTime(BODY_IDLE_MS - 1)
    expect(socket.destroyed).toBe(false)
    vi.advanceTimersByTime(1)
    expect(socket.wasReset).toBe(true)
    await turn()
    expect(counts.done).toBe(1)
  })

  test('is reset when its place is needed', async () => {
    const { socket, counts, connection } = delivering()
    connection.cut()
    connection.cut()
    await turn()
    expect([socket.wasReset, counts.done]).toEqual([true, 1])
  })
})
