/** What yamux-js 0.2.0 does wrong, ours does right. The same numbers stand in test/interop/yamux-js-defects.test.ts, against yamux-js itself. */
import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { FRAME_PAYLOAD_BYTES, INITIAL_WINDOW_BYTES } from '../limits.ts'
import { duplexOf } from './stream-duplex.ts'
import { encode } from './testing/slow-codec.ts'
import { line, type Recorder, Solo } from './testing/solo.ts'

const KiB = 1024
const payload = Buffer.from('payload')
const syn = (id: number) => ({ type: 'windowUpdate' as const, flags: ['syn' as const], id })
const lines = (solo: Solo) => solo.sent().map(line)

/** A server to which the peer has opened stream 1. */
function accepted(consume = true): { solo: Solo; stream: Recorder } {
  const solo = new Solo()
  solo.consume = consume
  solo.receive(syn(1))
  return { solo, stream: solo.opened[0]! }
}

describe('our multiplexer, where yamux-js fails', () => {
  it('1 reads a header that is split over two chunks', () => {
    const solo = new Solo()
    const wire = Buffer.concat([encode(syn(1)), encode({ type: 'data', id: 1, payload })])
    solo.mux.receive(wire.subarray(0, 7))
    solo.mux.receive(wire.subarray(7))
    expect(solo.opened[0]!.bytes).toEqual(payload)
  })

  it('2 reads a payload that is split over two chunks', () => {
    const { solo, stream } = accepted()
    const wire = encode({ type: 'data', id: 1, payload: Buffer.alloc(100, 'x') })
    solo.mux.receive(wire.subarray(0, 60))
    solo.mux.receive(wire.subarray(60))
    expect(stream.bytes).toEqual(Buffer.alloc(100, 'x'))
  })

  it('3 recognises FIN', () => {
    const { solo, stream } = accepted()
    solo.receive({ type: 'windowUpdate', flags: ['fin'], id: 1 })
    expect(stream.endings).toEqual(['end'])
  })

  it('4 recognises FIN on a data frame, behind its payload', () => {
    const { solo, stream } = accepted()
    solo.receive({ type: 'data', flags: ['fin'], id: 1, payload })
    expect([stream.bytes, stream.endings]).toEqual([payload, ['end']])
  })

  it('5 shows RST to the reader', () => {
    const { solo, stream } = accepted()
    solo.receive({ type: 'data', id: 1, payload }, { type: 'windowUpdate', flags: ['rst'], id: 1 })
    expect(stream.endings).toEqual(['reset stream-reset'])
  })

  it('6 obeys RST on a data frame', () => {
    const { solo, stream } = accepted()
    solo.receive({ type: 'data', flags: ['rst'], id: 1, payload }, { type: 'data', id: 1, payload })
    expect([stream.bytes.length, stream.endings]).toEqual([0, ['reset stream-reset']])
  })

  it('7 credits the window on consumption: a reader that never reads is sent one window', () => {
    const { solo, stream } = accepted(false)
    let credit = INITIAL_WINDOW_BYTES
    while (credit > 0) {
      solo.receive({ type: 'data', id: 1, payload: Buffer.alloc(32 * KiB) })
      credit -= 32 * KiB
      for (const frame of solo.sent()) if (frame.type === 'windowUpdate') credit += frame.length
    }
    expect(stream.bytes.length).toBe(INITIAL_WINDOW_BYTES)
  })

  it('8 goes on as soon as an empty window is credited', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES))
    stream.write(payload)
    solo.sent()
    const announced = solo.outputReady
    solo.receive({ type: 'windowUpdate', id: 2, length: 1000 })
    expect(solo.outputReady).toBe(announced + 1)
    expect(lines(solo)).toEqual([`data 2 ${payload.length}`])
  })

  it('9 accepts any number of streams in a session’s life', () => {
    const solo = new Solo()
    for (let id = 1; id <= 2 * 1000; id += 2) {
      solo.receive({ type: 'data', flags: ['syn', 'fin'], id, payload })
      solo.opened.at(-1)!.stream.end()
      solo.sent()
    }
    expect([solo.opened.length, solo.mux.openStreams, solo.faults]).toEqual([1000, 0, []])
  })

  it('10 reads 240 KB of frames without a frame of the stack for each, and ends a flood of pings', () => {
    const { solo, stream } = accepted()
    solo.mux.receive(
      Buffer.concat(Array.from({ length: 20_000 }, () => encode({ type: 'data', id: 1, payload: Buffer.from('.') }))),
    )
    expect(stream.bytes.length).toBe(20_000)
    solo.mux.receive(Buffer.concat(Array.from({ length: 30_000 }, () => encode({ type: 'ping', flags: ['syn'] }))))
    expect(solo.faults).toHaveLength(1)
  })

  it('11 notices a window overrun', () => {
    const { solo } = accepted(false)
    solo.receive({ type: 'data', id: 1, payload: Buffer.alloc(1024 * KiB) })
    expect(solo.faults.map(({ code }) => code)).toEqual(['protocol-violation'])
  })

  it('12 delivers data that comes with SYN', () => {
    const solo = new Solo()
    solo.receive({ type: 'data', flags: ['syn'], id: 1, payload })
    expect(solo.opened[0]!.bytes).toEqual(payload)
  })

  it('13 recognises SYN beside another flag', () => {
    const solo = new Solo()
    solo.receive({ type: 'data', flags: ['syn', 'fin'], id: 1, payload })
    expect(solo.opened[0]!.endings).toEqual(['end'])
  })

  it('14 uses the credit that comes with SYN', () => {
    const solo = new Solo()
    solo.receive({ type: 'windowUpdate', flags: ['syn'], id: 1, length: 256 * KiB })
    solo.opened[0]!.stream.write(Buffer.alloc(600 * KiB))
    expect(solo.sent().reduce((sum, frame) => sum + frame.payload.length, 0)).toBe(512 * KiB)
  })

  it.each([
    ['15 refuses a stream with our own parity', 2],
    ['16 refuses stream 0', 0],
  ])('%s', (_title, id) => {
    const solo = new Solo()
    solo.receive(syn(id))
    expect([solo.opened.length, solo.faults.length]).toEqual([0, 1])
  })

  it('17 reads what stands behind GOAWAY in the same chunk', () => {
    const solo = new Solo()
    const stream = solo.open()
    solo.receive({ type: 'goAway', length: 0 }, { type: 'data', id: 2, payload })
    expect(stream.bytes).toEqual(payload)
  })

  it('18 announces a violation as a protocol error', () => {
    const solo = new Solo()
    solo.mux.receive(Buffer.from('010000000000000100000000', 'hex'))
    expect(lines(solo)).toEqual(['goAway 0 1'])
  })

  it('19 says once that a violation has ended the session, and takes no more', () => {
    const solo = new Solo()
    for (let chunk = 0; chunk < 3; chunk++) solo.mux.receive(Buffer.from('000900000000000100000000', 'hex'))
    expect(solo.faults).toHaveLength(1)
  })

  it('20 sends FIN at the end of its writer, a Duplex among them', () => {
    const solo = new Solo()
    duplexOf(solo.mux.openStream()).end(payload)
    solo.open().stream.end()
    expect(lines(solo)).toEqual(['data 2 syn 7', 'windowUpdate 2 fin 0', 'windowUpdate 4 syn fin 0'])
  })

  it('21 tells the peer that a stream was abandoned, a destroyed Duplex among them', () => {
    const solo = new Solo()
    const [duplex, { stream }] = [duplexOf(solo.mux.openStream()), solo.open()]
    solo.sent()
    duplex.destroy()
    stream.reset()
    expect(lines(solo)).toEqual(['windowUpdate 2 rst 0', 'windowUpdate 4 rst 0'])
  })

  it('22 acknowledges an accepted stream before it has anything to say', () => {
    expect(lines(accepted().solo)).toEqual(['windowUpdate 1 ack 0'])
  })

  it('23 opens nothing after the peer went away, and throws a fault instead', () => {
    const solo = new Solo()
    solo.receive({ type: 'goAway', length: 0 })
    expect(() => solo.open()).toThrow(TunnelFault)
  })

  it('24 ends the session at a second SYN for an open stream', () => {
    const { solo, stream } = accepted()
    solo.receive(syn(1), { type: 'data', id: 1, payload })
    expect([stream.bytes.length, stream.endings]).toEqual([0, ['reset protocol-violation']])
  })

  it('25 sends frames of at most 32 KiB, between which other streams pass', () => {
    const solo = new Solo()
    const [bulk, small] = [solo.open(), solo.open()]
    bulk.stream.write(Buffer.alloc(256 * KiB))
    small.stream.write(payload)
    expect(lines(solo).slice(0, 3)).toEqual([
      `data 2 syn ${FRAME_PAYLOAD_BYTES}`,
      `data 4 syn ${payload.length}`,
      `data 2 ${FRAME_PAYLOAD_BYTES}`,
    ])
  })

  it('26 tells a writer to wait while nobody takes what it sends, whatever the window', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    solo.sent()
    solo.receive({ type: 'windowUpdate', flags: ['ack'], id: 2, length: 64 * KiB * KiB })
    let written = 64 * KiB
    while (stream.write(Buffer.alloc(16 * KiB)) && written < 1024 * KiB) written += 16 * KiB
    expect(written).toBeLessThanOrEqual(128 * KiB)
  })

  it('27 throws a fault at whoever opens a stream when its ids are used up', () => {
    const solo = new Solo({ side: 'agent', firstId: 0xffff_ffff })
    solo.open()
    expect(() => solo.open()).toThrow(TunnelFault)
  })

  it('28 ends the session when a window is credited beyond 32 bits', () => {
    const solo = new Solo()
    solo.open()
    solo.sent()
    solo.receive({ type: 'windowUpdate', id: 2, length: 0xffff_ffff })
    expect(solo.faults).toHaveLength(1)
  })

  it('29 resets its streams when the transport has ended', () => {
    const { solo, stream } = accepted()
    solo.mux.close(new TunnelFault('channel-lost'))
    expect(stream.endings).toEqual(['reset channel-lost'])
  })

  it('30 takes no bytes for a reset stream, and says so once', () => {
    const { solo, stream } = accepted()
    solo.receive({ type: 'windowUpdate', flags: ['rst'], id: 1 })
    expect([stream.stream.write(payload), stream.stream.write(payload)]).toEqual([false, false])
    expect(stream.endings).toEqual(['reset stream-reset'])
  })

  it('31 reads on while its output waits', () => {
    const { solo, stream } = accepted()
    stream.stream.write(Buffer.alloc(64 * KiB))
    solo.receive({ type: 'ping', flags: ['syn'] }, { type: 'data', id: 1, payload })
    expect(stream.bytes).toEqual(payload)
  })

  it('32 takes data after FIN as a violation', () => {
    const { solo, stream } = accepted()
    solo.receive({ type: 'windowUpdate', flags: ['fin'], id: 1 }, { type: 'data', id: 1, payload })
    expect([stream.bytes.length, stream.endings]).toEqual([0, ['end', 'reset protocol-violation']])
  })
})
