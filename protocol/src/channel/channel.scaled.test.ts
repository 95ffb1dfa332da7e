import { once } from 'node:events'
import type net from 'node:net'
import type tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { TunnelFault } from '../fault.ts'
import {
  CLOSE_GRACE_MS,
  CONTROL_BACKLOG_FRAMES,
  HEARTBEAT_MS,
  INITIAL_WINDOW_BYTES,
  SILENCE_MS,
  SOCKET_BACKLOG_BYTES,
} from '../limits.ts'
import { type RawStream, type StreamListener, WindowBudget } from '../mux/index.ts'
import { Channel, openChannel } from './index.ts'
import { dial, OpeningRig, Relay, turn } from './testing/opening-rig.ts'

vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.1'
})

const done = new TunnelFault('channel-closed')
const budget = new WindowBudget(0)
const now = () => performance.now()

/** What one end heard. */
interface Heard {
  streams: RawStream[]
  events: string[]
  fault?: TunnelFault
  over: Promise<void>
}

function channelOver(
  socket: tls.TLSSocket,
  side: 'agent' | 'server',
  listen?: (stream: RawStream) => StreamListener,
  now = () => performance.now(),
) {
  let over = (): void => {}
  const heard: Heard = {
    streams: [],
    events: [],
    over: new Promise((resolve) => {
      over = resolve
    }),
  }
  const channel = new Channel({
    socket,
    side,
    budget,
    now,
    peerStreams: side === 'server' ? 1 : 256,
    events: {
      streamOpened(stream) {
        heard.streams.push(stream)
        stream.listen(listen?.(stream) ?? silent(heard))
      },
      goAway: () => heard.events.push('goAway'),
      closed() {
        heard.events.push('closed')
        over()
      },
      lost(fault) {
        heard.events.push('lost')
        heard.fault = fault
        over()
      },
    },
  })
  return { channel, heard }
}

const silent = (heard: Heard): StreamListener => ({
  data() {},
  end: () => heard.events.push('end'),
  reset: (why) => heard.events.push(`reset ${why.code}`),
  writable() {},
})

let rig: OpeningRig
beforeEach(async () => {
  rig = new OpeningRig()
  await rig.listen()
})
afterEach(() => rig.stop())

async function pair(listen?: (stream: RawStream) => StreamListener): Promise<{
  agent: ReturnType<typeof channelOver>
  server: ReturnType<typeof channelOver>
  sockets: { agent: tls.TLSSocket; server: tls.TLSSocket; agentRaw: net.Socket }
}> {
  const agentRaw = await dial(rig.port)
  const [accepted, opened] = await Promise.all([rig.accepted(), openChannel(agentRaw, rig.issue())])
  return {
    agent: channelOver(opened.socket, 'agent', listen),
    server: channelOver(accepted.socket, 'server'),
    sockets: { agent: opened.socket, server: accepted.socket, agentRaw },
  }
}

const echo = (stream: RawStream): StreamListener => ({
  data(chunk) {
    stream.write(Buffer.from(chunk))
    stream.consume(chunk.length)
  },
  end: () => stream.end(),
  reset() {},
  writable() {},
})

/** Sends `bytes` and resolves with what came back until the peer's FIN. */
function exchange(stream: RawStream, bytes: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let at = 0
    const pump = (): void => {
      while (at < bytes.length) {
        const piece = Buffer.from(bytes.subarray(at, at + 16_384))
        at += piece.length
        if (!stream.write(piece)) return
      }
      stream.end()
    }
    stream.listen({
      data(chunk) {
        pieces.push(chunk)
        stream.consume(chunk.length)
      },
      end: () => resolve(Buffer.concat(pieces)),
      reset: reject,
      writable: pump,
    })
    pump()
  })
}

describe('a channel', () => {
  test('carries streams both ways at once, byte for byte', async () => {
    const { agent, server } = await pair(echo)
    const bodies = Array.from({ length: 20 }, (_, i) => Buffer.alloc(50_000 + 7919 * i, i))
    const echoes = await Promise.all(bodies.map((body) => exchange(server.channel.openStream(), body)))
    for (const [i, body] of bodies.entries()) expect(echoes[i]?.equals(body)).toBe(true)
    expect(server.channel.streams).toBe(0)
    expect(server.channel.bytesOut).toBeGreaterThan(bodies.reduce((sum, body) => sum + body.length, 0))
    expect(agent.channel.bytesIn).toBe(server.channel.bytesOut)
    agent.channel.destroy(done)
  })

  test('writes all frames of a turn of the event loop in one go', async () => {
    const { server, agent, sockets } = await pair(echo)
    await turn()
    let writes = 0
    const handle = sockets.server as tls.TLSSocket & { _writev: unknown; _write: unknown }
    for (const name of ['_write', '_writev'] as const) {
      const original = handle[name] as (...args: unknown[]) => void
      handle[name] = (...args: unknown[]) => {
        writes += 1
        original.apply(sockets.server, args)
      }
    }
    for (let i = 0; i < 50; i += 1) {
      const stream = server.channel.openStream()
      stream.listen(silent(server.heard))
      stream.write(Buffer.from(`request ${i}`))
    }
    await turn()
    await turn()
    expect(writes).toBe(1)
    await agent.channel.close()
  })

  test('takes nothing from its streams while the socket is over its backlog, and goes on when it has drained', async () => {
    const { server, agent, sockets } = await pair()
    sockets.agent.pause()
    const streams = Array.from({ length: 40 }, () => server.channel.openStream())
    for (const stream of streams) {
      stream.listen(silent(server.heard))
      for (let i = 0; i < 8; i += 1) stream.write(Buffer.alloc(32 * 1024))
    }
    let highest = 0
    for (let i = 0; i < 300; i += 1) {
      await turn()
      highest = Math.max(highest, sockets.server.writableLength)
    }
    expect(highest).toBeGreaterThan(0)
    expect(highest).toBeLessThanOrEqual(SOCKET_BACKLOG_BYTES + 64 * 1024)
    const sent = 40 * 8 * 32 * 1024
    expect(server.channel.bytesOut).toBeLessThan(sent)
    sockets.agent.resume()
    while (agent.channel.bytesIn < sent) await turn()
    server.channel.destroy(done)
    agent.channel.destroy(done)
  })

  test('goes on when everything that waited for the socket has been reset by the peer meanwhile', async () => {
    const { server, agent, sockets } = await pair()
    const [small, ...large] = Array.from({ length: 41 }, () => server.channel.openStream())
    for (const stream of [small!, ...large]) stream.listen(silent(server.heard))
    while (agent.heard.streams.length < 41) await turn()
    sockets.agent.pause()
    for (const stream of large) for (let i = 0; i < 8; i += 1) stream.write(Buffer.alloc(32 * 1024))
    for (let still = 0, out = 0; still < 50 || out === 0; out = server.channel.bytesOut) {
      await turn()
      still = server.channel.bytesOut === out ? still + 1 : 0
    }
    for (const stream of agent.heard.streams.slice(1)) stream.reset()
    while (server.heard.events.length < large.length) await turn()
    expect(sockets.server.writableLength, 'the socket was never full').toBeGreaterThan(0)

    sockets.agent.resume()
    while (sockets.server.writableLength > 0) await turn()
    const arrived = new Promise<Buffer>((resolve) =>
      agent.heard.streams[0]!.listen({ ...silent(agent.heard), data: resolve }),
    )
    small!.write(Buffer.from('still here'))
    expect(String(await arrived)).toBe('still here')
    server.channel.destroy(done)
    agent.channel.destroy(done)
  })

  test('measures its round trip by its heartbeat', async () => {
    const { server, agent } = await pair()
    expect(server.channel.roundTripMs).toBeUndefined()
    while (server.channel.roundTripMs === undefined) await turn()
    expect(server.channel.roundTripMs).toBeLessThan(server.channel.age)
    await agent.channel.close()
  })
})

describe('the orderly end of a channel', () => {
  test('is GOAWAY, its answer, and both ends closed; what was queued before has arrived', async () => {
    const { agent, server } = await pair()
    const arrived: Buffer[] = []
    const stream = server.channel.openStream()
    stream.listen(silent(server.heard))
    stream.write(Buffer.alloc(100_000, 7))
    await turn()
    while (agent.heard.streams.length === 0) await turn()
    agent.heard.streams[0]?.listen({
      data: (chunk) => arrived.push(chunk),
      end() {},
      reset: (why) => agent.heard.events.push(`reset ${why.code}`),
      writable() {},
    })
    stream.write(Buffer.from('the last words'))
    await server.channel.close()
    await agent.heard.over
    expect(Buffer.concat(arrived).toString('latin1').endsWith('the last words')).toBe(true)
    expect(server.heard.events).toEqual(['reset channel-closed', 'closed'])
    expect(agent.heard.events).toEqual(['goAway', 'reset channel-closed', 'closed'])
    expect([server.channel.state.kind, agent.channel.state.kind]).toEqual(['closed', 'closed'])
  })

  test('may be asked for by both ends at once, and again', async () => {
    const { agent, server } = await pair()
    await Promise.all([agent.channel.close(), server.channel.close(), server.channel.close()])
    expect([agent.heard.events, server.heard.events]).toEqual([['closed'], ['closed']])
    await server.channel.close()
  })

  test('opens no further streams from the moment it begins', async () => {
    const { agent, server } = await pair()
    const closing = agent.channel.close()
    expect(agent.channel.takesStreams).toBe(false)
    expect(() => agent.channel.openStream()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
    while (server.channel.state.kind === 'open') await turn()
    expect(() => server.channel.openStream()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
    await closing
  })

  test('does not wait longer than the grace for a peer that reads nothing', async () => {
    const { agent, server, sockets } = await pair()
    sockets.agent.pause()
    const began = now()
    await server.channel.close()
    expect(now() - began).toBeGreaterThanOrEqual(CLOSE_GRACE_MS - 5)
    // The heartbeat would have ended it later.
    expect(now() - began).toBeLessThan(HEARTBEAT_MS + SILENCE_MS)
    expect(sockets.server.destroyed).toBe(true)
    sockets.agent.resume()
    await agent.heard.over
  })
})

describe('the end of the socket means nothing', () => {
  test('a FIN with close_notify but without GOAWAY is a lost channel, and every open stream is reset', async () => {
    const { agent, server, sockets } = await pair()
    const stream = server.channel.openStream()
    stream.listen(silent(server.heard))
    stream.write(Buffer.from('half a resp'))
    while (agent.heard.streams.length === 0) await turn()
    sockets.agent.end()
    await server.heard.over
    expect(server.heard.events).toEqual(['reset channel-lost', 'lost'])
    expect(server.heard.fault?.code).toBe('channel-lost')
    await agent.heard.over
  })

  async function relayed() {
    const relay = new Relay(rig.port)
    const raw = await dial(await relay.listen())
    const [accepted, opened] = await Promise.all([rig.accepted(), openChannel(raw, rig.issue())])
    const server = channelOver(accepted.socket, 'server')
    const agent = channelOver(opened.socket, 'agent')
    const stream = server.channel.openStream()
    stream.listen(silent(server.heard))
    stream.write(Buffer.from('half a resp'))
    while (agent.heard.streams.length === 0) await turn()
    return { relay, server, agent, stream }
  }

  for (const how of ['fin', 'rst'] as const)
    test(`a ${how.toUpperCase()} of the connection below is a lost channel at both ends, never an end of its streams`, async () => {
      const { relay, server, agent } = await relayed()
      relay.cut(how)
      await Promise.all([server.heard.over, agent.heard.over])
      expect(server.heard.events).toEqual(['reset channel-lost', 'lost'])
      expect(agent.heard.events).toEqual(['reset channel-lost', 'lost'])
      relay.stop()
    })

  for (const end of ['agent', 'server'] as const)
    test(`a record that was changed on its way to the ${end} ends the channel there, and none of it is delivered`, async () => {
      const { relay, server, agent, stream } = await relayed()
      const received: Buffer[] = []
      const own = end === 'agent' ? agent : server
      const reader = end === 'agent' ? agent.heard.streams[0] : stream
      const writer = end === 'agent' ? stream : agent.heard.streams[0]
      reader?.listen({
        data: (chunk) => received.push(chunk),
        end: () => own.heard.events.push('end'),
        reset: (why) => own.heard.events.push(`reset ${why.code}`),
        writable() {},
      })
      await turn()
      relay.change = (chunk, to) => {
        // The alert that answers it does not pass: the end that saw the broken record must end by itself.
        if (to !== end) return Buffer.alloc(0)
        chunk[chunk.length - 1]! ^= 1
        return chunk
      }
      writer?.write(Buffer.from('pay the other account'))
      await own.heard.over
      expect(own.heard.events).toEqual(['reset channel-lost', 'lost'])
      expect(own.heard.fault?.cause).toMatchObject({ code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' })
      expect(Buffer.concat(received).includes('pay')).toBe(false)
      relay.stop()
    })

  test('a peer that goes silent is a lost channel after heartbeat and silence', async () => {
    const { relay, server, agent } = await relayed()
    const began = now()
    relay.change = () => Buffer.alloc(0)
    await Promise.all([server.heard.over, agent.heard.over])
    expect(server.heard.fault).toMatchObject({ code: 'channel-lost', detail: 'The other end has fallen silent.' })
    expect(now() - began).toBeLessThan(2 * HEARTBEAT_MS + SILENCE_MS)
    relay.stop()
  })

  test('a channel made over a socket that has just gone is lost like any other', async () => {
    const [accepted, opened] = await Promise.all([rig.accepted(), openChannel(await dial(rig.port), rig.issue())])
    accepted.socket.destroy()
    await once(accepted.socket, 'close')
    const { heard, channel } = channelOver(accepted.socket, 'server')
    expect(channel.state.kind).toBe('open')
    await heard.over
    expect(heard.events).toEqual(['lost'])
    opened.socket.destroy()
  })
})

describe('a peer that breaks the protocol', () => {
  test('is told by GOAWAY, its streams are reset, and the channel is lost to protocol-violation', async () => {
    const [accepted, opened] = await Promise.all([rig.accepted(), openChannel(await dial(rig.port), rig.issue())])
    const { heard } = channelOver(accepted.socket, 'server')
    opened.socket.write(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'))
    const told: Buffer[] = []
    opened.socket.on('data', (chunk: Buffer) => told.push(chunk))
    await heard.over
    expect(heard.fault?.code).toBe('protocol-violation')
    await once(opened.socket, 'close')
    const frames = Buffer.concat(told)
    expect(frames.subarray(-12).toString('hex')).toBe('000300000000000000000001')
    expect(accepted.socket.destroyed || accepted.socket.writableEnded).toBe(true)
  })

  test('and never reads again is cut off after the grace all the same', async () => {
    const [accepted, opened] = await Promise.all([rig.accepted(), openChannel(await dial(rig.port), rig.issue())])
    const { heard } = channelOver(accepted.socket, 'server')
    opened.socket.write(Buffer.alloc(64, 0xff))
    await heard.over
    await once(accepted.socket, 'close')
    opened.socket.destroy()
  })

  /** A raw peer that reads nothing, over a path that the server has filled. It has sent more pings than may wait for it. */
  async function deafPeer() {
    const [accepted, opened] = await Promise.all([rig.accepted(), openChannel(await dial(rig.port), rig.issue())])
    let time = 0
    const { heard, channel } = channelOver(accepted.socket, 'server', undefined, () => time)
    opened.socket.pause()
    for (let streams = 0; streams < 60; streams++) channel.openStream().write(Buffer.alloc(INITIAL_WINDOW_BYTES))
    for (let out = -1; out !== channel.bytesOut || accepted.socket.writableLength === 0; await turn())
      out = channel.bytesOut
    const ping = Buffer.from('000200010000000000000000', 'hex')
    let pings = 0
    const send = (count: number): void => {
      pings += count
      opened.socket.write(Buffer.concat(Array.from({ length: count }, () => ping)))
    }
    while (pings <= CONTROL_BACKLOG_FRAMES + 1) {
      send(500)
      while (channel.bytesIn < pings * ping.length) await turn()
      time += 1000
    }
    return { heard, channel, server: accepted.socket, agent: opened.socket, send, sent: () => pings }
  }

  test('is read no further while it reads nothing, and goes on when it reads again', async () => {
    const { heard, channel, server, agent, send, sent } = await deafPeer()
    expect(server.isPaused()).toBe(true)
    send(100)
    let [pongs, payload, unread] = [0, 0, Buffer.alloc(0)]
    const answered = new Promise<void>((resolve) =>
      agent.on('data', (chunk: Buffer) => {
        unread = Buffer.concat([unread, chunk])
        for (;;) {
          const skipped = Math.min(payload, unread.length)
          payload -= skipped
          unread = unread.subarray(skipped)
          if (unread.length < 12) return
          if (unread[1] === 0) payload = unread.readUInt32BE(8)
          if (unread[1] === 2 && unread[3] === 2 && ++pongs === sent()) resolve()
          unread = unread.subarray(12)
        }
      }),
    )
    agent.resume()
    await answered
    expect([server.isPaused(), heard.events, channel.state.kind]).toEqual([false, [], 'open'])
    channel.destroy(done)
    agent.destroy()
  })

  test('is lost to protocol-violation if it goes on reading nothing', async () => {
    const { heard, agent } = await deafPeer()
    await heard.over
    expect(heard.fault).toMatchObject({ code: 'protocol-violation', detail: 'It does not read what it is sent.' })
    agent.destroy()
  })
})
