import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { INITIAL_WINDOW_BYTES } from '../limits.ts'
import { encode, type Frame } from './testing/slow-codec.ts'
import { line, Recorder, Solo } from './testing/solo.ts'

type Sent = Partial<Frame> & Pick<Frame, 'type'>
const payload = Buffer.from('x')
const syn = (id: number): Sent => ({ type: 'windowUpdate', flags: ['syn'], id })

/** A server with stream 2 opened by itself and stream 1 by the peer. */
function busy(): Solo {
  const solo = new Solo()
  solo.open()
  solo.receive(syn(1))
  solo.sent()
  return solo
}

describe('a violation', () => {
  const cases: [string, Sent[], string][] = [
    [
      'data for an id of ours that was never opened',
      [{ type: 'data', id: 4, payload }],
      'data for stream 4, which was never opened',
    ],
    [
      'data for an id of theirs that was never opened',
      [{ type: 'data', id: 3, payload }],
      'data for stream 3, which was never opened',
    ],
    ['data for a skipped id', [syn(5), { type: 'data', id: 3, payload }], 'data for stream 3, which was never opened'],
    [
      'a window update for an unopened stream',
      [{ type: 'windowUpdate', id: 9, length: 5 }],
      'window update for stream 9, which was never opened',
    ],
    [
      'RST for an unopened stream',
      [{ type: 'windowUpdate', flags: ['rst'], id: 8 }],
      'window update for stream 8, which was never opened',
    ],
    ['data for stream 0', [{ type: 'data', id: 0, payload }], 'data for stream 0, which was never opened'],
    ['SYN for stream 0', [syn(0)], 'SYN for stream 0'],
    ['SYN with our own parity', [syn(4)], 'SYN for stream 4, whose parity is ours'],
    ['SYN for a stream that is open', [syn(1)], 'second SYN for stream 1'],
    [
      'SYN for a stream that was reset',
      [{ type: 'windowUpdate', flags: ['rst'], id: 1 }, syn(1)],
      'second SYN for stream 1',
    ],
    [
      'data after FIN',
      [
        { type: 'windowUpdate', flags: ['fin'], id: 1 },
        { type: 'data', id: 1, payload },
      ],
      'data after FIN on stream 1',
    ],
    [
      'FIN twice',
      [
        { type: 'data', flags: ['fin'], id: 1 },
        { type: 'windowUpdate', flags: ['fin'], id: 1 },
      ],
      'FIN twice on stream 1',
    ],
    [
      'a window overrun',
      [{ type: 'data', id: 1, payload: Buffer.alloc(INITIAL_WINDOW_BYTES + 1) }],
      'window overrun on stream 1',
    ],
    [
      'a window beyond 32 bits',
      [{ type: 'windowUpdate', id: 2, length: 0xffff_ffff }],
      'window of stream 2 beyond 32 bits',
    ],
    ['a ping of a stream', [{ type: 'ping', flags: ['syn'], id: 1 }], 'stream 1 in a frame of the session'],
    ['GOAWAY of a stream', [{ type: 'goAway', id: 1 }], 'stream 1 in a frame of the session'],
    ['a ping that is neither', [{ type: 'ping' }], 'ping with flags 0'],
    ['a ping that is both', [{ type: 'ping', flags: ['syn', 'ack'] }], 'ping with flags 3'],
    ['GOAWAY with flags', [{ type: 'goAway', flags: ['fin'] }], 'GOAWAY with flags 4'],
  ]
  it.each(cases)('%s ends the session with GOAWAY 1', (_title, frames, detail) => {
    const solo = busy()
    solo.receive(...frames, { type: 'ping', flags: ['syn'] })
    expect(solo.faults.map((fault) => [fault.code, fault.detail])).toEqual([['protocol-violation', detail]])
    expect(solo.sent().map(line)).toEqual(['goAway 0 1'])
    expect(solo.mux.openStreams).toBe(0)
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
  })

  it.each([
    ['an unknown flag', '000000100000000100000000', 'flags 16'],
    ['an unknown type', '000400000000000100000000', 'frame type 4'],
    ['another version', '010000000000000100000000', 'version 1 instead of 0'],
  ])('%s ends the session', (_title, hex, detail) => {
    const solo = busy()
    solo.mux.receive(Buffer.from(hex, 'hex'))
    expect(solo.faults.map((fault) => fault.detail)).toEqual([detail])
  })

  it('is judged at the header, before any payload has come', () => {
    const solo = busy()
    solo.mux.receive(encode({ type: 'data', id: 1, payload: Buffer.alloc(INITIAL_WINDOW_BYTES + 1) }).subarray(0, 12))
    expect(solo.faults).toHaveLength(1)
  })

  it('is heard by every stream with its fault, and only then by the owner', () => {
    const solo = new Solo()
    const order: string[] = []
    const recorders = [solo.open(), solo.open()]
    for (const { stream } of recorders) {
      stream.listen({
        data: () => {},
        end: () => {},
        writable: () => {},
        reset: (why) => order.push(`${stream.id} ${why.code}`),
      })
    }
    solo.faults.push = (...faults) => order.push(...faults.map((fault) => fault.code))
    solo.receive({ type: 'ping' })
    expect(order).toEqual(['2 protocol-violation', '4 protocol-violation', 'protocol-violation'])
  })
})

describe('id 0, which is the session’s', () => {
  it.each<[string, Sent]>([
    ['data', { type: 'data', id: 0, payload }],
    ['a window update', { type: 'windowUpdate', id: 0, length: 5 }],
    ['RST', { type: 'windowUpdate', flags: ['rst'], id: 0 }],
    ['SYN', syn(0)],
  ])('takes no %s, on either side', (_title, frame) => {
    for (const side of ['agent', 'server'] as const) {
      const solo = new Solo({ side })
      solo.receive(frame)
      expect(solo.faults.map((fault) => fault.code)).toEqual(['protocol-violation'])
    }
  })
})

describe('a hostile peer', () => {
  const smallId = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 12 }) },
    { weight: 1, arbitrary: fc.nat(0xffff_ffff) },
  )
  const frame = fc.record({
    type: fc.constantFrom(
      'data' as const,
      'data' as const,
      'windowUpdate' as const,
      'ping' as const,
      'goAway' as const,
    ),
    flags: fc.oneof(
      { weight: 3, arbitrary: fc.constant<Frame['flags']>([]) },
      { weight: 2, arbitrary: fc.constant<Frame['flags']>(['syn']) },
      { weight: 2, arbitrary: fc.subarray<Frame['flags'][number]>(['syn', 'ack', 'fin', 'rst']) },
    ),
    id: smallId,
    length: fc.oneof(fc.nat(300_000), fc.nat(0xffff_ffff)),
    payload: fc.nat(2000).map((bytes) => Buffer.alloc(bytes)),
  })
  const noise = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  const input = fc.array(fc.oneof({ weight: 12, arbitrary: frame.map(encode) }, { weight: 1, arbitrary: noise }), {
    maxLength: 60,
  })

  it('never makes anything throw or grow, whatever it sends and however it is cut', () => {
    fc.assert(
      fc.property(
        input,
        fc.infiniteStream(fc.integer({ min: 1, max: 3000 })),
        fc.boolean(),
        (parts, sizes, consume) => {
          const solo = new Solo({ peerStreams: 4, ownStreams: 4 })
          const opened: Recorder[] = []
          solo.onOpened = (stream) => void opened.push(new Recorder(stream, consume))
          const own = [solo.open(consume), solo.open(consume)]
          own[0]!.stream.write(Buffer.alloc(1000))
          solo.sent()
          const wire = Buffer.concat(parts)
          for (let at = 0; at < wire.length; ) {
            const size = sizes.next().value
            solo.mux.receive(wire.subarray(at, at + size))
            at += size
            solo.time += 1
            expect(solo.mux.openStreams).toBeLessThanOrEqual(8)
            expect(solo.mux.heldBytes).toBeLessThanOrEqual(6 * INITIAL_WINDOW_BYTES + 192 * wire.length)
            expect(solo.sent().length).toBeLessThan(200)
          }
          expect(solo.faults.length).toBeLessThanOrEqual(1)
          for (const { endings } of [...own, ...opened]) {
            expect(endings.filter((ending) => ending === 'end').length).toBeLessThanOrEqual(1)
            expect(endings.findIndex((ending) => ending !== 'end')).toBeLessThanOrEqual(1)
            expect(endings.length).toBeLessThanOrEqual(2)
          }
          if (solo.faults.length > 0) expect(solo.mux.openStreams).toBe(0)
        },
      ),
      { numRuns: 2000 },
    )
  })
})
