/** A VirtualSocket behaves as a socket of node:net in all that the listener of visitors uses: one suite, run over both. */
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { onBytes, resetSocket } from '@postern/protocol/socket'
import { afterEach, describe, expect, test } from 'vitest'
import { VirtualSocket } from '../support/virtual-socket.ts'

/** The far end of the connection. */
interface Visitor {
  send(text: string): void
  end(): void
  reset(): void
  /** From now on what comes is read, or not. */
  read(on: boolean): void
  readonly text: string
  /** How the direction from the socket has ended. */
  readonly over: 'open' | 'ended' | 'reset'
}

interface Connection {
  readonly socket: Socket
  readonly visitor: Visitor
}

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean()
})

/** More than a system takes from a socket whose peer does not read. */
const TOO_MUCH = 16 * 1024 * 1024
const NOTHING = Buffer.alloc(0)

async function real(): Promise<Connection> {
  const server = net.createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const far = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const [socket] = (await once(server, 'connection')) as [Socket]
  cleanups.push(() => {
    far.destroy()
    socket.destroy()
    server.close()
  })
  const pieces: Buffer[] = []
  let over: Visitor['over'] = 'open'
  far.on('data', (chunk) => pieces.push(chunk))
  far.on('end', () => {
    over = 'ended'
  })
  far.on('error', () => {
    over = 'reset'
  })
  far.pause()
  const visitor = {
    send: (text: string) => void far.write(text, 'latin1'),
    end: () => void far.end(),
    reset: () => void far.resetAndDestroy(),
    read: (on: boolean) => void (on ? far.resume() : far.pause()),
    get text() {
      return Buffer.concat(pieces).toString('latin1')
    },
    get over() {
      return over
    },
  }
  return { socket, visitor }
}

async function virtual(): Promise<Connection> {
  const socket = new VirtualSocket(64 * 1024)
  const { peer } = socket
  const pieces: Buffer[] = []
  let reading = false
  let over: Visitor['over'] = 'open'
  const turn = setInterval(() => {
    peer.settle()
    peer.deliver()
    if (!reading) return
    pieces.push(peer.take(TOO_MUCH))
    over = peer.direction
  }, 1)
  cleanups.push(() => {
    clearInterval(turn)
    socket.destroy()
  })
  const visitor = {
    send: (text: string) => peer.send(Buffer.from(text, 'latin1')),
    end: () => peer.end(),
    reset: () => peer.reset(),
    read: (on: boolean) => {
      reading = on
    },
    get text() {
      return Buffer.concat(pieces).toString('latin1')
    },
    get over() {
      return over
    },
  }
  return { socket: socket.asSocket, visitor }
}

/** What the listener does with each socket. */
function accept({ socket }: Connection): { got: string; readonly events: string[] } {
  const seen = { got: '', events: [] as string[] }
  socket.on('error', (error: NodeJS.ErrnoException) => seen.events.push(error.code ?? error.message))
  socket.on('end', () => seen.events.push('end'))
  socket.on('close', () => seen.events.push('close'))
  onBytes(socket, (chunk) => {
    seen.got += chunk.toString('latin1')
  })
  return seen
}

const poll = (holds: () => unknown) => expect.poll(() => Boolean(holds()), { interval: 1 }).toBe(true)
/** Long enough for what must not happen. */
const turns = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 1))
}

describe.each([
  ['a socket of node:net', real],
  ['a virtual socket', virtual],
])('%s', (_name, connect) => {
  test('is paused at first, and then hands on what comes in order', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    visitor.send('one')
    await turns()
    expect(seen.got).toBe('')
    expect(socket.isPaused()).toBe(true)
    socket.resume()
    await poll(() => seen.got === 'one')
    visitor.send('two')
    await poll(() => seen.got === 'onetwo')
  })

  test('hands on from within its push while it flows, and after a pause what was read behind it', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    socket.resume()
    visitor.send('x')
    await poll(() => seen.got === 'x')
    socket.pause()
    visitor.send('y'.repeat(1000))
    await turns()
    expect(seen.got).toBe('x')
    socket.resume()
    expect(seen.got).toBe('x')
    await poll(() => seen.got === `x${'y'.repeat(1000)}`)
  })

  test('while it is paused it reads no more than its buffer and one read', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    socket.resume()
    visitor.send('x')
    await poll(() => seen.got === 'x')
    socket.pause()
    visitor.send('y'.repeat(1024 * 1024))
    await turns()
    expect(seen.got).toBe('x')
    expect(socket.readableLength).toBeLessThanOrEqual(socket.readableHighWaterMark + 64 * 1024)
    expect(socket.readableLength).toBeGreaterThan(0)
    socket.resume()
    await poll(() => seen.got.length === 1 + 1024 * 1024)
  })

  test('what is written to a visitor that reads is out at once', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    accept(connection)
    visitor.read(true)
    socket.write(Buffer.from('answer'))
    expect(socket.writableLength).toBe(0)
    await poll(() => visitor.text === 'answer')
  })

  test('what is written to a visitor that does not read waits, and an empty write behind it is called back when all is out', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    accept(connection)
    socket.write(Buffer.alloc(TOO_MUCH, 'x'))
    expect(socket.writableLength).toBeGreaterThan(0)
    let behind = -1
    socket.write(NOTHING, () => {
      behind = socket.writableLength
    })
    await turns()
    expect(behind).toBe(-1)
    expect(socket.writableLength).toBeGreaterThan(0)
    visitor.read(true)
    await poll(() => behind === 0)
    await poll(() => visitor.text.length === TOO_MUCH)
  })

  test('a write from within such a call back shows in its length', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    accept(connection)
    socket.write(Buffer.alloc(TOO_MUCH, 'x'))
    const lengths: number[] = []
    socket.write(NOTHING, () => {
      socket.write(Buffer.from('y'))
      lengths.push(socket.writableLength)
    })
    visitor.read(true)
    await poll(() => lengths.length === 1)
    await poll(() => visitor.text.length === TOO_MUCH + 1)
    expect(socket.writableLength).toBe(0)
  })

  test("a visitor's end comes behind its bytes, and it can still be answered", async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    visitor.send('last')
    visitor.end()
    socket.resume()
    await poll(() => seen.events.includes('end'))
    expect(seen.got).toBe('last')
    expect(seen.events).toEqual(['end'])
    visitor.read(true)
    socket.write(Buffer.from('answer'))
    await poll(() => visitor.text === 'answer')
    expect(visitor.over).toBe('open')
    socket.end()
    await poll(() => visitor.over === 'ended')
    await poll(() => seen.events.includes('close'))
    expect(seen.events).toEqual(['end', 'close'])
  })

  test('its end is called back when all is out, and the visitor has every byte before it', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    accept(connection)
    let called = false
    socket.write(Buffer.alloc(TOO_MUCH, 'x'))
    socket.end(() => {
      called = true
    })
    await turns()
    expect(called).toBe(false)
    visitor.read(true)
    await poll(() => called)
    await poll(() => visitor.over === 'ended')
    expect(visitor.text.length).toBe(TOO_MUCH)
  })

  test('destroyed, it closes once without an error, and the visitor sees the end', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    visitor.read(true)
    socket.resume()
    socket.write(Buffer.from('part'))
    socket.destroy()
    expect(seen.events).toEqual([])
    await poll(() => seen.events.includes('close'))
    await poll(() => visitor.over === 'ended')
    expect(visitor.text).toBe('part')
    expect(seen.events).toEqual(['close'])
  })

  test('destroyed by a reset, it closes without an error, and the visitor sees the reset', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    visitor.read(true)
    socket.resume()
    socket.resetAndDestroy()
    await poll(() => seen.events.includes('close'))
    await poll(() => visitor.over === 'reset')
    expect(seen.events).toEqual(['close'])
  })

  test('reset by `resetSocket` in the turn of its end, it closes', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    visitor.read(true)
    socket.end()
    resetSocket(socket)
    await poll(() => seen.events.includes('close'))
    expect(seen.events).toEqual(['close'])
  })

  test('a reset of a visitor that is read from shows as an error and the close', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    socket.resume()
    visitor.send('x')
    await poll(() => seen.got === 'x')
    visitor.reset()
    await poll(() => seen.events.includes('close'))
    expect(seen.events).toEqual(['ECONNRESET', 'close'])
  })

  test('a reset that comes while nothing is read shows on an empty write', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    visitor.reset()
    await turns()
    expect(seen.events).toEqual([])
    socket.write(NOTHING)
    await poll(() => seen.events.includes('close'))
    expect(seen.events).toHaveLength(2)
  })

  test('a reset while much waits to be written ends it', async () => {
    const connection = await connect()
    const { socket, visitor } = connection
    const seen = accept(connection)
    socket.resume()
    socket.write(Buffer.alloc(TOO_MUCH, 'x'))
    await turns()
    visitor.reset()
    await poll(() => seen.events.includes('close'))
    expect(seen.events).toHaveLength(2)
  })

  test('what is written after its destruction goes nowhere and throws nothing', async () => {
    const connection = await connect()
    const { socket } = connection
    const seen = accept(connection)
    socket.destroy()
    socket.write(Buffer.from('x'))
    socket.end()
    await poll(() => seen.events.includes('close'))
    expect(socket.destroyed).toBe(true)
  })
})
