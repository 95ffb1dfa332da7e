/** Anonymous connections, each of which takes as much of a node's memory as it can. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { H2_STREAMS_PER_VISITOR, INITIAL_WINDOW_BYTES, STREAM_BACKLOG_BYTES } from '@postern/protocol/limits'
import { size } from '../support/full-size.ts'
import { namedField, requestBlock } from './h2-frames.ts'
import { H2Visitor } from './h2-visitor.ts'
import { BASE } from './memory-task.ts'
import type { ScriptedTunnel } from './scripted-tunnel.ts'
import type { TaskPorts } from './weighed-tasks.ts'

const MiB = 1024 * 1024
/** Requests that are sent without reading a byte, in bytes: more than the buffers of the way hold. */
const PIPELINED_BYTES = size(8, 64) * MiB
/** What passes beside single bytes of a body that waits. */
const BESIDE_BYTES = size(48, 256) * MiB
/** More than the windows of the visitor and of the agent. */
export const BODY_BYTES = 1024 * 1024
const NEVER = 0
const FRAME_BYTES = 16_384
export const LARGEST_WINDOW_BYTES = 2 ** 31 - 1

/** What is going on until it is told to leave. */
export interface Attack {
  /** What moves while it goes on. */
  moved(): number
  leave(): void
}

export type Attacker = (ports: TaskPorts, tunnel: ScriptedTunnel) => Promise<Attack>

/** A little less than a header list may have. */
export const LONG_TRAILERS = Array.from({ length: 240 }, (_, index) => namedField(`t-${index}`, 'g'.repeat(230)))
export const LONG_FIELDS = Array.from({ length: 55 }, (_, index) => namedField(`x-${index}`, 'f'.repeat(480)))

// ── HTTP/1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One request after the other, none of whose responses is read. */
export const pipeline =
  (
    host: string,
    path: string,
    { fields = '', port = 'public' }: { fields?: string; port?: 'public' | 'redirect' } = {},
  ): Attacker =>
  async (ports) => {
    const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n`
    const block = Buffer.from(request.repeat(Math.ceil(65_536 / request.length)))
    const socket = connect({ port: ports[port], host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.pause()
    await once(socket, 'connect')
    const sent = (): number => socket.bytesWritten - socket.writableLength
    const pump = (): void => {
      while (sent() < PIPELINED_BYTES && !socket.destroyed && socket.write(block)) {}
    }
    socket.on('drain', pump)
    pump()
    return { moved: sent, leave: () => socket.resetAndDestroy() }
  }

/** A response of which a byte is read now and then. */
export const sip =
  (path: string, version: '1.0' | '1.1'): Attacker =>
  async (ports) => {
    const socket = connect({ port: ports.public, host: '127.0.0.1' })
    socket.on('error', () => {})
    socket.write(`GET ${path} HTTP/${version}\r\nHost: open.${BASE}\r\n\r\n`)
    const timer = setInterval(() => socket.read(1), 20)
    socket.on('close', () => clearInterval(timer))
    return { moved: () => 0, leave: () => socket.resetAndDestroy() }
  }

// ── HTTP/2 ──────────────────────────────────────────────────────────────────────────────────────────────────────────

interface H2Attack {
  readonly host?: string
  readonly window?: number
  readonly reads?: boolean
  readonly fields?: readonly Buffer[]
  /** Of each request. */
  readonly body?: number
  /** Credits a byte of each response now and then. */
  readonly sips?: boolean
  readonly floods?: boolean
}

/** As many requests at once as a connection may have. */
export const atOnce =
  (path: string, how: H2Attack = {}): Attacker =>
  async (ports, tunnel) => {
    const {
      host = `open.${BASE}`,
      window = NEVER,
      reads = true,
      fields = [],
      body = 0,
      sips = false,
      floods = false,
    } = how
    const visitor = await H2Visitor.open({ port: ports.public, window, reads })
    const block = Buffer.concat([requestBlock(host, body > 0 ? 'POST' : 'GET', path), ...fields])
    // What it may have open is known once its SETTINGS are here.
    if (reads) await visitor.credit()
    const ids = Array.from({ length: H2_STREAMS_PER_VISITOR }, () => visitor.request(block, body === 0))
    if (body > 0) void upload(visitor, ids, body)
    if (floods) {
      while (tunnel.flowing.size < H2_STREAMS_PER_VISITOR) await setTimeout(50)
      tunnel.flood()
    }
    const timer = sips ? setInterval(() => ids.map((id) => visitor.allow(id, 1)), 20) : undefined
    return {
      moved: () => (sips ? 0 : visitor.socket.bytesWritten),
      leave: () => {
        clearInterval(timer)
        visitor.leave()
      },
    }
  }

async function upload(visitor: H2Visitor, ids: readonly number[], bytes: number): Promise<void> {
  const left = new Map(ids.map((id) => [id, bytes]))
  while (left.size > 0 && !visitor.socket.destroyed) {
    let sent = 0
    for (const [id, rest] of left) {
      const length = Math.min(rest, visitor.room(id))
      if (length <= 0) continue
      visitor.socket.write(visitor.data(id, Buffer.alloc(length)))
      sent += length
      if (length === rest) left.delete(id)
      else left.set(id, rest - length)
    }
    if (sent === 0 || visitor.socket.writableNeedDrain) await visitor.credit()
  }
}

/** Bodies that their local server does not read and, once none of them moves any more, trailers behind each. */
export const trailed =
  (path: string, trailers: readonly Buffer[]): Attacker =>
  async (ports) => {
    const visitor = await H2Visitor.open({ port: ports.public, window: NEVER })
    await visitor.credit()
    const block = requestBlock(`open.${BASE}`, 'POST', path)
    const ids = Array.from({ length: H2_STREAMS_PER_VISITOR }, () => visitor.request(block, false))
    for (let idle = 0; idle < 10 && !visitor.socket.destroyed; idle += 1) {
      for (const id of ids) {
        const room = visitor.room(id)
        if (room <= 0) continue
        visitor.socket.write(visitor.data(id, Buffer.alloc(room)))
        idle = 0
      }
      await visitor.credit()
    }
    for (const id of ids) visitor.headers(id, Buffer.concat(trailers))
    return { moved: () => visitor.socket.bytesWritten, leave: () => visitor.leave() }
  }

/** Single bytes of a body that its local server does not read, between large frames of another one that is read. */
export const retain: Attacker = async (ports) => {
  const visitor = await H2Visitor.open({ port: ports.public, window: NEVER })
  await visitor.credit()
  const [sink, stalled] = ['/sink', '/stall'].map((path) =>
    visitor.request(requestBlock(`open.${BASE}`, 'POST', path), false),
  ) as [number, number]
  let [sent, moved] = [0, 0]
  const send = async (id: number, block: Buffer): Promise<void> => {
    while (!visitor.socket.destroyed && (visitor.room(id) < block.length || visitor.socket.writableNeedDrain))
      await visitor.credit()
    visitor.socket.write(visitor.data(id, block))
    moved += block.length
  }
  const frames = async (): Promise<void> => {
    const block = Buffer.alloc(FRAME_BYTES)
    // All that goes on towards the local server, so that what follows waits here.
    for (let filled = 0; filled < INITIAL_WINDOW_BYTES + STREAM_BACKLOG_BYTES; filled += block.length)
      await send(stalled, block)
    for (; sent < BESIDE_BYTES && !visitor.socket.destroyed; sent += block.length) {
      if (visitor.room(stalled) > 0) await send(stalled, Buffer.from('s'))
      await send(sink, block)
    }
  }
  void frames()
  return { moved: () => moved, leave: () => visitor.leave() }
}

/** Bodies in single bytes, each in a frame of its own. */
export const singles =
  (host: string, path: string, bodies: number, bytes: number): Attacker =>
  async (ports) => {
    const visitor = await H2Visitor.open({ port: ports.public, window: NEVER })
    await visitor.credit()
    const block = requestBlock(host, 'PUT', path)
    const ids = Array.from({ length: bodies }, () => visitor.request(block, false))
    const single = Buffer.from('s')
    let moved = 0
    const frames = async (): Promise<void> => {
      while (moved < bodies * bytes && !visitor.socket.destroyed) {
        const before = moved
        for (const id of ids) {
          const count = Math.min(visitor.room(id), 1000)
          visitor.socket.write(Buffer.concat(Array.from({ length: count }, () => visitor.data(id, single))))
          moved += count
        }
        if (moved === before || visitor.socket.writableNeedDrain) await visitor.credit()
      }
    }
    void frames()
    return { moved: () => moved, leave: () => visitor.leave() }
  }
