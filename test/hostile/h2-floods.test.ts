/** Visitors whose HTTP/2 asks for work and never for an answer, against a data plane that serves a good tunnel beside them. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { frame, PREFACE } from '../../data-plane/src/testing/h2-frames.ts'
import { memoryOf } from '../support/peak-memory.ts'
import { within } from './experiment.ts'
import { type GoodTunnel, startGoodTunnel } from './good-tunnel.ts'
import { FLAG, number, requestBlock, TYPE } from './h2-frames.ts'
import { BASE, lastWords, startTaskProcess, type TaskProcess } from './task-process.ts'

const HOST = `good.${BASE}`
const PATIENCE_MS = 60_000
/** What garbage collection leaves lying between two looks. */
const GROWTH_MIB = 128

let task: TaskProcess
let good: GoodTunnel
beforeAll(async () => {
  task = await startTaskProcess()
  good = await startGoodTunnel({
    ticket: await task.desk.issue('good', task.channelPort),
    publicPort: task.publicPort,
    host: HOST,
  })
})
afterAll(async () => {
  await good?.stop()
  await task?.stop()
})

const head = (stream: number, { ends = true, flags = FLAG.endHeaders, block = requestBlock(HOST) } = {}): Buffer =>
  frame(TYPE.headers, flags | (ends ? FLAG.endStream : 0), stream, block)

/** Not `once`, which rejects when the socket is cut off first. */
const event = (socket: Socket, name: string): Promise<void> =>
  new Promise((resolve) => socket.once(name, () => resolve()))

/** So many bytes at a time, as long as anybody listens. */
async function flood(socket: Socket, pieces: Iterable<Buffer>): Promise<number> {
  let frames = 0
  let batch: Buffer[] = []
  for (const piece of pieces) {
    if (socket.destroyed || !socket.writable) break
    batch.push(piece)
    frames += 1
    if (batch.length < 200) continue
    const room = socket.write(Buffer.concat(batch))
    batch = []
    if (!room) await Promise.race([event(socket, 'drain'), event(socket, 'close'), setTimeout(2000)])
    else await setTimeout(0)
  }
  if (!socket.destroyed) socket.write(Buffer.concat(batch))
  return frames
}

function* times(count: number, make: (index: number) => Buffer | Buffer[]): Generator<Buffer> {
  for (let index = 0; index < count; index += 1) {
    const made = make(index)
    if (Array.isArray(made)) yield* made
    else yield made
  }
}

interface Flood {
  readonly pieces: () => Iterable<Buffer>
  /** It never takes what we send it. */
  readonly deaf?: boolean
  /** It breaks no limit of a connection: what it asks for is refused one by one. */
  readonly borne?: boolean
}

const FLOODS: Readonly<Record<string, Flood>> = {
  'rapid reset (CVE-2023-44487)': {
    pieces: () => times(20_000, (i) => [head(2 * i + 1), frame(TYPE.reset, 0, 2 * i + 1, number(8))]),
  },
  'rapid reset of uploads': {
    pieces: () =>
      times(20_000, (i) => [
        head(2 * i + 1, { ends: false, block: requestBlock(HOST, 'POST') }),
        frame(TYPE.data, 0, 2 * i + 1, Buffer.alloc(100)),
        frame(TYPE.reset, 0, 2 * i + 1, number(8)),
      ]),
  },
  'resets that we are made to send': {
    // A window that overflows is an error of its stream (RFC 9113 §6.9.1): the reset is ours (CVE-2025-8671).
    pieces: () => times(20_000, (i) => [head(2 * i + 1), frame(TYPE.windowUpdate, 0, 2 * i + 1, number(0x7fff_ffff))]),
  },
  'CONTINUATION without end (CVE-2024-27983)': {
    pieces: () => [
      head(1, { flags: 0 }),
      ...times(20_000, () => frame(TYPE.continuation, 0, 1, Buffer.from([0x00, 1, 0x61, 1, 0x62]))),
    ],
  },
  'empty CONTINUATION without end': {
    pieces: () => [head(1, { flags: 0 }), ...times(20_000, () => frame(TYPE.continuation, 0, 1))],
  },
  'SETTINGS (CVE-2019-9515)': { pieces: () => times(50_000, () => frame(TYPE.settings, 0, 0)) },
  'SETTINGS, and deaf': { pieces: () => times(50_000, () => frame(TYPE.settings, 0, 0)), deaf: true },
  'PING (CVE-2019-9512)': { pieces: () => times(50_000, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8))) },
  'PING, and deaf': { pieces: () => times(50_000, () => frame(TYPE.ping, 0, 0, Buffer.alloc(8))), deaf: true },
  'empty DATA (CVE-2019-9518)': {
    pieces: () => [
      head(1, { ends: false, block: requestBlock(HOST, 'POST') }),
      ...times(50_000, () => frame(TYPE.data, 0, 1)),
    ],
  },
  'more streams at once than there may be': {
    pieces: () => times(5000, (i) => head(2 * i + 1, { ends: false, block: requestBlock(HOST, 'POST') })),
  },
  'a small block that is a large head (HPACK)': {
    // A field of 4,000 bytes goes into the table, and 1,000 references to it fit into a kilobyte.
    pieces: () =>
      times(300, (i) => {
        const literal = Buffer.concat([Buffer.from([0x40, 1, 0x61, 0x7f, 0xa1, 0x1e]), Buffer.alloc(4000, 'x')])
        return head(2 * i + 1, { block: Buffer.concat([requestBlock(HOST), literal, Buffer.alloc(1000, 0xbe)]) })
      }),
    borne: true,
  },
}

test.each(Object.entries(FLOODS))(
  '%s: who floods is cut off, a good visitor is served on, memory stays',
  async (name, { pieces, deaf, borne }) => {
    await good.pace()
    const memory = memoryOf(task.pid).now
    const socket = connect(task.publicPort, '127.0.0.1')
    socket.on('error', () => {
      // Cut off in the midst of it.
    })
    const closed = event(socket, 'close')
    await once(socket, 'connect')
    if (deaf) socket.pause()
    else socket.resume()
    socket.write(Buffer.concat([PREFACE, frame(TYPE.settings, 0, 0)]))
    const frames = await flood(socket, pieces())
    if (borne) socket.destroy()
    else if (deaf) {
      // Its end shows only to who reads.
      await setTimeout(500)
      socket.resume()
    }
    expect(
      await within(
        PATIENCE_MS,
        closed.then(() => 'closed'),
        'open',
      ),
      `${name}, ${frames} frames`,
    ).toBe('closed')
    await setTimeout(300)
    const { answered, failed } = await good.pace()
    expect(failed).toBe(0)
    expect(answered).toBeGreaterThan(0)
    expect(memoryOf(task.pid).now - memory).toBeLessThan(GROWTH_MIB)
    expect(task.alive).toBe(true)
    expect(lastWords(task.log)).toEqual([])
  },
)
