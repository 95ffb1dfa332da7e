/** What a hostile peer can say once it has proven its key: what must be borne, and what must end the channel. Knows nothing of sockets. */

import type { SeededRandom } from '../support/seeded-random.ts'
import { Flag, frame, Type } from './hostile-peer.ts'

/** Streams that the peer tried to open beside its control stream. Never empty. */
export interface Said {
  readonly refused: number[]
  nextId: number
}

const CONTROL = 1

export const helloLine = (instanceId: string): string =>
  `${JSON.stringify({ type: 'hello', version: '0.0.0', instanceId, slot: 0, pool: false, rules: {} })}\n`

/** Opens the control stream with this line on it, and one stream too many. */
export const begin = (line: string): { said: Said; bytes: Buffer } => ({
  said: { refused: [3], nextId: 5 },
  bytes: Buffer.concat([frame(Type.data, Flag.syn, CONTROL, Buffer.from(line)), frame(Type.windowUpdate, Flag.syn, 3)]),
})

type Borne = (said: Said, chance: SeededRandom) => Buffer

/** None of these is what an honest agent says, and none is a reason to end the channel. */
const BORNE: readonly Borne[] = [
  (_, chance) => frame(Type.ping, Flag.syn, 0, chance.integer(0, 2 ** 32)),
  // An answer to a ping that nobody sent.
  (_, chance) => frame(Type.ping, Flag.ack, 0, chance.integer(0, 2 ** 32)),
  // An agent may open the control stream alone: these are reset.
  (said) => frame(Type.windowUpdate, Flag.syn, newId(said), 0),
  (said, chance) => frame(Type.data, Flag.syn, newId(said), chance.bytes(chance.integer(0, 600))),
  (said, chance) => frame(Type.data, Flag.syn | Flag.fin, newId(said), chance.bytes(chance.integer(0, 50))),
  // Frames of streams that are gone may have been under way.
  (said, chance) => frame(Type.data, Flag.none, goneId(said, chance), chance.bytes(chance.integer(0, 2000))),
  (said, chance) => frame(Type.data, Flag.fin, goneId(said, chance), 0),
  (said, chance) => frame(Type.windowUpdate, Flag.rst, goneId(said, chance), 0),
  (said, chance) => frame(Type.windowUpdate, Flag.ack | Flag.fin, goneId(said, chance), chance.integer(0, 2 ** 32)),
  (said, chance) => frame(Type.windowUpdate, Flag.none, goneId(said, chance), chance.integer(0, 2 ** 32)),
  (_, chance) => frame(Type.windowUpdate, chance.pick([Flag.none, Flag.ack]), CONTROL, chance.integer(0, 65_536)),
  () => frame(Type.data, Flag.none, CONTROL, 0),
  // Types of a later version are ignored.
  (_, chance) => frame(Type.data, Flag.none, CONTROL, Buffer.from(`{"type":"later-${chance.integer(0, 1e6)}"}\n`)),
]

export const borne = (said: Said, chance: SeededRandom): Buffer => chance.pick(BORNE)(said, chance)

function newId(said: Said): number {
  const id = said.nextId
  said.nextId += 2
  said.refused.push(id)
  return id
}

const goneId = (said: Said, chance: SeededRandom): number => chance.pick(said.refused)

type Violation = (said: Said, chance: SeededRandom) => Buffer

const lineOf = (text: string): Buffer => frame(Type.data, Flag.none, CONTROL, Buffer.from(text))
const many = (count: number, one: Buffer): Buffer => Buffer.concat(Array.from({ length: count }, () => one))

/** Each of these ends the channel. */
export const VIOLATIONS: Readonly<Record<string, Violation>> = {
  'another version': (_, chance) => frame(Type.ping, Flag.syn, 0, 1, { version: chance.integer(1, 256) }),
  'an unknown type': (_, chance) => frame(chance.integer(4, 256), 0, 0, chance.integer(0, 100)),
  'unknown flags': (_, chance) => frame(chance.integer(0, 2), chance.integer(16, 65_536), CONTROL, 0),
  'another protocol': () => Buffer.from('GET / HTTP/1.1\r\nHost: demo.test.localhost\r\n\r\n'),
  'data on a stream never opened': (said) => frame(Type.data, Flag.none, said.nextId + 2000, Buffer.from('x')),
  'data on a stream of ours never opened': (_, chance) =>
    frame(Type.data, 0, 2 * chance.integer(1000, 1e6), Buffer.of(1)),
  'a window for a stream never opened': (said) => frame(Type.windowUpdate, Flag.none, said.nextId + 2000, 1),
  'a stream of our parity': (_, chance) => frame(Type.windowUpdate, Flag.syn, 2 * chance.integer(1, 1e6), 0),
  'stream 0': (_, chance) => frame(chance.integer(0, 2), Flag.syn, 0, 0),
  'a stream opened twice': (said, chance) => frame(Type.windowUpdate, Flag.syn, goneId(said, chance), 0),
  'the control stream opened twice': () => frame(Type.data, Flag.syn, CONTROL, Buffer.from('{}\n')),
  'a ping with strange flags': (_, chance) => frame(Type.ping, chance.pick([0, 3, 4, 8, 12, 15]), 0, 1),
  'a ping on a stream': (_, chance) => frame(Type.ping, Flag.syn, chance.integer(1, 2 ** 32), 1),
  'GOAWAY with flags': (_, chance) => frame(Type.goAway, chance.integer(1, 16), 0, 0),
  'more than the window': (_, chance) => frame(Type.data, 0, CONTROL, 0, { length: chance.integer(2 ** 25, 2 ** 32) }),
  'a window beyond 32 bits': () => many(3, frame(Type.windowUpdate, Flag.none, CONTROL, 2 ** 32 - 1)),
  'the end of the control stream': () => frame(Type.data, Flag.fin, CONTROL, 0),
  'data behind the end of the control stream': () =>
    Buffer.concat([frame(Type.data, Flag.fin, CONTROL, 0), lineOf('{"type":"leaving"}\n')]),
  'the control stream reset': () => frame(Type.windowUpdate, Flag.rst, CONTROL, 0),
  'a line that is no JSON': (_, chance) => lineOf(`${chance.bytes(40).toString('base64')}\n`),
  'a line that is no object': (_, chance) => lineOf(chance.pick(['null\n', '7\n', '"hello"\n', '[]\n', '\n'])),
  'a line without end': () => lineOf('x'.repeat(9000)),
  'a hello that is none': () => lineOf('{"type":"hello","version":7}\n'),
  'a hello with an unknown rule': () => lineOf(helloLine('x').replace('{}', '{"allow":"all"}')),
  'a stream-fault of no stream': () =>
    lineOf('{"type":"stream-fault","streamId":-1,"fault":"origin-refused","unsent":true}\n'),
  'a flood of pings': (_, chance) => many(4000, frame(Type.ping, Flag.syn, 0, chance.integer(0, 2 ** 32))),
  'a flood of empty data': () => many(4000, frame(Type.data, Flag.none, CONTROL, 0)),
  'a flood of new streams': (said) => Buffer.concat(Array.from({ length: 4000 }, () => borneSyn(said))),
  'a flood of lines': () => many(8, lineOf('{"type":"later"}\n'.repeat(1500))),
}

const borneSyn = (said: Said): Buffer => frame(Type.windowUpdate, Flag.syn, newId(said), 0)

type Reply = (id: number, chance: SeededRandom) => Buffer

const reply = (id: number, flags: number, text: string | Buffer): Buffer =>
  frame(Type.data, flags, id, Buffer.from(text))

/** What an agent can do to the request of a visitor, on the stream that the server has opened for it. Some of it ends the channel, all of it the request. */
export const REPLIES: readonly Reply[] = [
  (id, chance) => reply(id, Flag.ack, chance.bytes(chance.integer(1, 3000))),
  (id) => frame(Type.windowUpdate, Flag.rst, id, 0),
  (id) => frame(Type.data, Flag.ack | Flag.fin, id, 0),
  (id) => reply(id, Flag.fin, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it'),
  (id) => reply(id, Flag.fin, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'),
  (id) => reply(id, Flag.none, `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(30_000)}\r\nY: ${'y'.repeat(9000)}\r\n\r\n`),
  (id) => Buffer.concat([frame(Type.data, Flag.fin, id, 0), reply(id, Flag.none, 'HTTP/1.1 200 OK\r\n\r\n')]),
  (id) => frame(Type.data, Flag.none, id, 0, { length: 2 ** 31 }),
  (id) => Buffer.concat([2, 3].map(() => frame(Type.windowUpdate, Flag.none, id, 2 ** 32 - 1))),
  (id) => frame(Type.windowUpdate, Flag.syn, id, 0),
  (id) => reply(id, Flag.rst | Flag.fin, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
]

/** Bytes of no meaning, or frames whose fields have none. What becomes of them is not known beforehand. */
export function noise(chance: SeededRandom): Buffer {
  if (chance.next() < 0.5) return chance.bytes(chance.integer(1, 2000))
  const frames = Array.from({ length: chance.integer(1, 40) }, () =>
    frame(chance.integer(0, 4), chance.integer(0, 16), chance.integer(0, 12), chance.bytes(chance.integer(0, 60))),
  )
  return Buffer.concat(frames)
}

/** The same bytes in segments of any size. */
export function torn(bytes: Buffer, chance: SeededRandom): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = chance.integer(1, chance.pick([4, 100, 10_000]))
    pieces.push(bytes.subarray(at, at + length))
    at += length
  }
  return pieces
}
