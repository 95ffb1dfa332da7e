import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import type { StreamFaultMessage } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import { Mux, type MuxEvents, type RawStream, WindowBudget } from '@postern/protocol/mux'
import { afterEach, describe, expect, test } from 'vitest'
import { LocalServer, type LocalServerListener } from './local-server.ts'
import { ServedStreams } from './serve-streams.ts'
import { HeldStream } from './testing/held-stream.ts'
import { SlowSocket } from './testing/slow-socket.ts'

/** A stream as the data plane would hold it, with what happened on it. */
class Visitor {
  readonly stream: RawStream
  readonly chunks: Buffer[] = []
  ending: 'end' | 'reset' | undefined
  reading = true
  #writables = 0
  #unread = 0
  #wake: () => void = () => undefined

  constructor(stream: RawStream) {
    this.stream = stream
    stream.listen({
      data: (chunk) => {
        this.chunks.push(chunk)
        if (this.reading) stream.consume(chunk.length)
        else this.#unread += chunk.length
        this.#wake()
      },
      end: () => this.#end('end'),
      reset: () => this.#end('reset'),
      writable: () => {
        this.#writables += 1
        this.#wake()
      },
    })
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  /** Writes `chunk` so many times, as fast as the stream takes it. @param progress hears what is written, in bytes */
  async send(chunk: Buffer, times: number, progress: (bytes: number) => void = () => undefined): Promise<void> {
    for (let i = 1; i <= times; i += 1) {
      const mark = this.#writables
      const room = this.stream.write(chunk)
      progress(i * chunk.length)
      if (!room) await this.until(() => this.#writables > mark)
    }
  }

  readOn(): void {
    this.reading = true
    this.stream.consume(this.#unread)
    this.#unread = 0
  }

  /** Resolves once `condition` holds; the test's own deadline is the limit. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition())
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
  }

  async whole(): Promise<'end' | 'reset'> {
    await this.until(() => this.ending !== undefined)
    return this.ending!
  }

  #end(ending: 'end' | 'reset'): void {
    this.ending = ending
    this.#wake()
  }
}

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp()
})

/** A data plane's multiplexer, wired to an agent's whose streams lead to `port`. */
function tunnelTo(port: number, addresses: readonly string[] = ['127.0.0.1']) {
  const faults: StreamFaultMessage[] = []
  const changes: (string | undefined)[] = []
  const server = new LocalServer(addresses, port, (fault) => changes.push(fault?.code))
  const served = new ServedStreams({ server, sendFault: (message) => faults.push(message) })
  const quiet: Omit<MuxEvents, 'outputReady' | 'streamOpened'> = {
    pong: () => undefined,
    goAway: () => undefined,
    violated: (fault) => expect.fail(fault.message),
  }
  const shared = { now: () => performance.now(), budget: new WindowBudget(0), peerStreams: 256 }
  const dataPlane: Mux = new Mux({
    ...shared,
    side: 'server',
    events: { ...quiet, outputReady: () => setImmediate(pump, dataPlane, () => agent), streamOpened: () => undefined },
  })
  const agent: Mux = new Mux({
    ...shared,
    side: 'agent',
    events: {
      ...quiet,
      outputReady: () => setImmediate(pump, agent, () => dataPlane),
      streamOpened: (stream) => served.serve(stream),
    },
  })
  const lose = () => {
    for (const mux of [dataPlane, agent]) mux.close(new TunnelFault('channel-lost'))
  }
  cleanUps.push(lose)
  return { open: () => new Visitor(dataPlane.openStream()), served, faults, changes, lose, agent, dataPlane }
}

function pump(from: Mux, to: () => Mux): void {
  do for (const piece of from.pull(64 * 1024)) to().receive(Buffer.from(piece))
  while (from.outputWaiting)
}

async function localServer(onSocket: (socket: net.Socket) => void, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onSocket(socket)
  })
  server.listen(0, host)
  await once(server, 'listening')
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy()
    // What has been connected and not accepted yet comes after this.
    server.on('connection', (socket: net.Socket) => socket.destroy())
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function unusedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

describe('a served stream', () => {
  test('carries bytes both ways', async () => {
    const visitor = tunnelTo(await localServer((socket) => socket.pipe(socket))).open()
    visitor.stream.write(Buffer.from('hello'))
    visitor.stream.end()
    expect(await visitor.whole()).toBe('end')
    expect(visitor.text).toBe('hello')
  })

  test('delivers a reply that comes long after the visitor has said its last word', async () => {
    const port = await localServer((socket) => {
      const chunks: Buffer[] = []
      socket.on('data', (chunk) => chunks.push(chunk))
      socket.on('end', () => setImmediate(() => socket.end(`late reply to ${Buffer.concat(chunks)}`)))
    })
    const visitor = tunnelTo(port).open()
    visitor.stream.write(Buffer.from('request'))
    visitor.stream.end()
    expect(await visitor.whole()).toBe('end')
    expect(visitor.text).toBe('late reply to request')
  })

  test('goes on taking bytes after the local server has said its last word', async () => {
    const received: Buffer[] = []
    let ended: () => void
    const allReceived = new Promise<void>((resolve) => {
      ended = resolve
    })
    const port = await localServer((socket) => {
      socket.end('early')
      socket.on('data', (chunk) => received.push(chunk))
      socket.on('end', () => ended())
    })
    const tunnel = tunnelTo(port)
    const visitor = tunnel.open()
    visitor.stream.write(Buffer.from('first '))
    expect(await visitor.whole()).toBe('end')
    visitor.stream.write(Buffer.from('second'))
    visitor.stream.end()
    await allReceived
    await tunnel.served.idle()
    expect([visitor.text, Buffer.concat(received).toString()]).toEqual(['early', 'first second'])
  })

  test('an abort by the visitor resets the local connection at once', async () => {
    let aborted: (error: NodeJS.ErrnoException) => void
    const error = new Promise<NodeJS.ErrnoException>((resolve) => {
      aborted = resolve
    })
    let connected: () => void
    const served = new Promise<void>((resolve) => {
      connected = resolve
    })
    const port = await localServer((socket) => {
      socket.on('error', (reset) => aborted(reset))
      socket.on('data', () => connected())
    })
    const tunnel = tunnelTo(port)
    const visitor = tunnel.open()
    visitor.stream.write(Buffer.from('GET'))
    await served
    visitor.stream.reset()
    expect((await error).code).toBe('ECONNRESET')
    await tunnel.served.idle()
  })

  test('an abort right behind the end of a request closes the local connection: its descriptor does not stay', async () => {
    let atLocalServer: net.Socket | undefined
    const port = await localServer((socket) => {
      atLocalServer = socket
    })
    const { open, agent, dataPlane } = tunnelTo(port)
    const visitor = open()
    visitor.stream.write(Buffer.from('request'))
    await expect.poll(() => atLocalServer).toBeDefined()
    await once(atLocalServer!, 'data')
    const closed = new Promise((resolve) => atLocalServer!.once('close', resolve))
    // Behind an end, a reset shows only on a write.
    const answer = (): void => void atLocalServer!.write('answer', (error) => error ?? setImmediate(answer))
    atLocalServer!.once('end', answer)
    visitor.stream.end()
    const fin = [...dataPlane.pull(1024)].map((piece) => Buffer.from(piece))
    visitor.stream.reset()
    const rst = [...dataPlane.pull(1024)].map((piece) => Buffer.from(piece))
    expect([fin, rst].map(({ length }) => length)).toEqual([1, 1])
    agent.receive(Buffer.concat([...fin, ...rst]))
    await closed
  })

  test('an abort before the local connection stands leaves nothing behind', async () => {
    const tunnel = tunnelTo(await localServer((socket) => socket.pipe(socket)))
    const visitor = tunnel.open()
    visitor.stream.write(Buffer.from('GET'))
    setImmediate(() => visitor.stream.reset())
    await new Promise((resolve) => setImmediate(resolve))
    await tunnel.served.idle()
    expect(tunnel.served.size).toBe(0)
    expect(tunnel.faults).toEqual([])
  })

  test('a local server that aborts in the middle of its answer resets the stream: nothing short looks whole', async () => {
    const port = await localServer((socket) => {
      socket.write('half an ans')
      socket.once('data', () => socket.resetAndDestroy())
    })
    const tunnel = tunnelTo(port)
    const visitor = tunnel.open()
    await visitor.until(() => visitor.bytes > 0)
    visitor.stream.write(Buffer.from('more'))
    expect(await visitor.whole()).toBe('reset')
    expect(tunnel.faults).toEqual([
      { type: 'stream-fault', streamId: visitor.stream.id, fault: 'origin-closed', unsent: false },
    ])
    expect(tunnel.served.size).toBe(0)
  })

  test('a whole answer stays whole when the local server then hangs up on the rest of the request', async () => {
    let local: net.Socket
    const port = await localServer((socket) => {
      local = socket
      socket.once('data', () => socket.end('413'))
    })
    const tunnel = tunnelTo(port)
    const visitor = tunnel.open()
    visitor.stream.write(Buffer.from('the beginning'))
    expect([await visitor.whole(), visitor.text]).toEqual(['end', '413'])
    local!.resetAndDestroy()
    // More than a window: what nobody wants must still be credited, or the visitor would be stuck.
    await visitor.send(Buffer.alloc(64 * 1024), 16)
    visitor.stream.end()
    await tunnel.served.idle()
    expect([visitor.ending, tunnel.faults]).toEqual(['end', []])
  })

  test('a lost channel resets every local connection', async () => {
    let open = 0
    let allGone: () => void
    const gone = new Promise<void>((resolve) => {
      allGone = resolve
    })
    const port = await localServer((socket) => {
      open += 1
      socket.write('!')
      socket.on('close', () => {
        open -= 1
        if (open === 0) allGone()
      })
    })
    const tunnel = tunnelTo(port)
    const visitors = Array.from({ length: 20 }, () => tunnel.open())
    for (const visitor of visitors) visitor.stream.write(Buffer.from('?'))
    await Promise.all(visitors.map((visitor) => visitor.until(() => visitor.bytes > 0)))
    tunnel.lose()
    await gone
    expect(tunnel.served.size).toBe(0)
  })
})

test('connections that only deliver what is left are at most as many as streams: the oldest is closed for a new one', async () => {
  const sockets: SlowSocket[] = []
  let connected = (_socket: net.Socket): void => {}
  const server = {
    connect(listener: LocalServerListener) {
      connected = (socket) => listener.connected(socket)
      return () => undefined
    },
  }
  const served = new ServedStreams({ server: server as unknown as LocalServer, sendFault: () => expect.unreachable() })
  for (let streams = 0; streams < STREAMS_PER_CHANNEL + 2; streams++) {
    const stream = new HeldStream()
    served.serve(stream)
    sockets.push(new SlowSocket())
    connected(sockets.at(-1) as unknown as net.Socket)
    stream.listener.data(Buffer.from('all'))
    stream.listener.end()
    stream.cut()
  }
  expect(sockets.map(({ wasReset }) => wasReset).indexOf(false)).toBe(2)
  expect(sockets.filter(({ wasReset }) => wasReset)).toHaveLength(2)
  for (const socket of sockets) socket.destroy()
  await served.idle()
})

describe('back-pressure', () => {
  const MEBIBYTE = 1024 * 1024
  const TOTAL = 32 * MEBIBYTE

  test('a visitor that does not read stops the local server after a few windows', async () => {
    let source: net.Socket
    const port = await localServer((socket) => {
      source = socket
      const chunk = Buffer.alloc(64 * 1024)
      let left = TOTAL / chunk.length
      const more = (): void => {
        while (left > 0) {
          left -= 1
          if (!socket.write(chunk)) {
            socket.once('drain', more)
            return
          }
        }
        socket.end()
      }
      more()
    })
    const visitor = tunnelTo(port).open()
    visitor.reading = false
    visitor.stream.write(Buffer.from('GET'))
    // The window is 256 KiB: once it is full nothing further can arrive, however long we look.
    await visitor.until(() => visitor.bytes >= 256 * 1024)
    const stalled = await steady(() => source.bytesWritten)
    expect(visitor.bytes).toBe(256 * 1024)
    expect(stalled).toBeLessThan(16 * MEBIBYTE)
    visitor.readOn()
    expect(await visitor.whole()).toBe('end')
    expect(visitor.bytes).toBe(TOTAL)
  })

  test('a local server that does not read stops the visitor after a few windows', async () => {
    let sink: net.Socket
    let received = 0
    let arrived: () => void
    const connected = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const port = await localServer((socket) => {
      sink = socket
      socket.on('data', (chunk) => {
        received += chunk.length
      })
      socket.on('end', () => socket.end('thanks'))
      socket.pause()
      arrived()
    })
    const visitor = tunnelTo(port).open()
    const chunk = Buffer.alloc(64 * 1024)
    let sent = 0
    const sending = visitor.send(chunk, TOTAL / chunk.length, (bytes) => {
      sent = bytes
    })
    await connected
    expect(await steady(() => sent)).toBeLessThan(16 * MEBIBYTE)
    sink!.resume()
    await sending
    visitor.stream.end()
    expect(await visitor.whole()).toBe('end')
    expect([received, visitor.text]).toEqual([TOTAL, 'thanks'])
  })
})

describe('a local server that cannot be reached', () => {
  test('is told of by a stream-fault before the reset, and the next one that answers is told of too', async () => {
    const port = await unusedPort()
    const tunnel = tunnelTo(port, ['127.0.0.1', '::1'])
    const visitor = tunnel.open()
    visitor.stream.write(Buffer.from('GET'))
    expect(await visitor.whole()).toBe('reset')
    expect(tunnel.faults).toEqual([
      { type: 'stream-fault', streamId: visitor.stream.id, fault: 'origin-refused', unsent: true },
    ])
    const again = tunnel.open()
    again.stream.write(Buffer.from('GET'))
    expect(await again.whole()).toBe('reset')
    expect(tunnel.changes).toEqual(['origin-refused'])

    const server = net.createServer((socket) => socket.resume().end('here')).listen(port, '127.0.0.1')
    cleanUps.push(() => server.close())
    await once(server, 'listening')
    const served = tunnel.open()
    served.stream.write(Buffer.from('GET'))
    served.stream.end()
    expect([await served.whole(), served.text]).toEqual(['end', 'here'])
    expect(tunnel.changes).toEqual(['origin-refused', undefined])
    await tunnel.served.idle()
  })

  test('a bare port finds a server that listens on ::1 only, and asks there first from then on', async () => {
    const port = await localServer((socket) => socket.end('six'), '::1')
    const tunnel = tunnelTo(port, ['127.0.0.1', '::1'])
    const answer = async (): Promise<string> => {
      const visitor = tunnel.open()
      visitor.stream.write(Buffer.from('GET'))
      visitor.stream.end()
      await visitor.whole()
      return visitor.text
    }
    expect(await answer()).toBe('six')
    const other = net.createServer((socket) => socket.end('four')).listen(port, '127.0.0.1')
    cleanUps.push(() => other.close())
    await once(other, 'listening')
    expect(await answer()).toBe('six')
    expect(tunnel.faults).toEqual([])
  })
})

/** The value of `read` once it has stood still for 20 turns of 5 ms. */
async function steady(read: () => number): Promise<number> {
  let value = read()
  for (let still = 0; still < 20; still += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (read() !== value) still = 0
    value = read()
  }
  return value
}
