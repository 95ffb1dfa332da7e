/** Evidence for docs/decisions/0001: what yamux-js 0.2.0 does. The same numbers stand in protocol/src/mux/yamux-js-defects.test.ts for ours. */
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { encode } from '../../protocol/src/mux/testing/slow-codec.ts'
import { YamuxJs } from './yamux-js.ts'

const payload = Buffer.from('payload')
const KiB = 1024
const syn = (id: number) => ({ type: 'windowUpdate' as const, flags: ['syn' as const], id })

describe('yamux-js 0.2.0', () => {
  it('1 loses a header that is split over two chunks', async () => {
    const peer = new YamuxJs('server')
    const wire = Buffer.concat([encode(syn(1)), encode({ type: 'data', id: 1, payload })])
    await peer.bytes(wire.subarray(0, 7), wire.subarray(7))
    expect(peer.opened).toHaveLength(0)
  })

  it('2 loses bytes of a payload that is split over two chunks', async () => {
    const peer = new YamuxJs('server')
    const wire = encode({ type: 'data', id: 1, payload: Buffer.alloc(100, 'x') })
    await peer.bytes(encode(syn(1)), wire.subarray(0, 60), wire.subarray(60))
    expect(peer.heard[0]!.bytes.length).toBeLessThan(100)
  })

  it('3 does not recognise FIN', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(1), { type: 'windowUpdate', flags: ['fin'], id: 1 })
    expect(peer.heard[0]!.events).toEqual([])
  })

  it('4 does not recognise FIN on a data frame', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(1), { type: 'data', flags: ['fin'], id: 1, payload })
    expect(peer.heard[0]!.events).toEqual([])
  })

  it('5 hides RST from the reader', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(1), { type: 'data', id: 1, payload }, { type: 'windowUpdate', flags: ['rst'], id: 1 })
    expect(peer.heard[0]!.events).toEqual([])
  })

  it('6 ignores RST on a data frame', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(1), { type: 'data', flags: ['rst'], id: 1, payload }, { type: 'data', id: 1, payload })
    expect(peer.heard[0]!.bytes.length).toBe(2 * payload.length)
  })

  it('7 credits the window on arrival: a reader that never reads is sent 8 of 8 MiB', async () => {
    const peer = new YamuxJs('server', false)
    await peer.receive(syn(1))
    let window = 256 * KiB
    let sent = 0
    while (sent < 8 * KiB * KiB && window >= 32 * KiB) {
      await peer.receive({ type: 'data', id: 1, payload: Buffer.alloc(32 * KiB) })
      sent += 32 * KiB
      window -= 32 * KiB
      for (const frame of await peer.sent()) if (frame.type === 'windowUpdate') window += frame.length
    }
    expect(sent).toBe(8 * KiB * KiB)
    expect(peer.opened[0]!.readableLength).toBe(sent)
  })

  it('8 polls an empty window every 100 ms instead of going on when it is credited', async () => {
    const peer = new YamuxJs('client')
    const { stream } = peer.open()
    stream.write(Buffer.alloc(256 * KiB))
    stream.write(payload)
    await peer.sent()
    await peer.receive({ type: 'windowUpdate', id: 1, length: 1000 })
    expect(await peer.sent()).toEqual([])
    await wait(150)
    expect(await peer.sent()).toHaveLength(1)
  })

  it('9 resets every stream after 256 in a session’s life', async () => {
    const peer = new YamuxJs('server')
    for (let id = 1; id <= 2 * 257; id += 2) {
      await peer.receive(syn(id), { type: 'windowUpdate', flags: ['fin'], id })
      peer.opened[(id - 1) / 2]?.end()
    }
    const resets = (await peer.sent()).filter(({ flags }) => flags.includes('rst'))
    expect(resets.map(({ id }) => id)).toEqual([513])
  })

  it('10 overflows the stack on 110 KB of pings in one chunk, since it calls itself for every frame', async () => {
    const peer = new YamuxJs('server')
    const pings = Buffer.concat(Array.from({ length: 9_000 }, () => encode({ type: 'ping', flags: ['syn'] })))
    await expect(peer.bytes(pings)).rejects.toThrow(RangeError)
  })

  it('11 does not notice a window overrun', async () => {
    const peer = new YamuxJs('server', false)
    await peer.receive(syn(1), { type: 'data', id: 1, payload: Buffer.alloc(1024 * KiB) })
    expect([peer.errors, peer.opened[0]!.readableLength]).toEqual([[], 1024 * KiB])
  })

  it('12 loses data that comes with SYN', async () => {
    const peer = new YamuxJs('server')
    await peer.receive({ type: 'data', flags: ['syn'], id: 1, payload })
    expect([peer.opened.length, peer.heard[0]!.bytes.length]).toEqual([1, 0])
  })

  it('13 does not recognise SYN beside another flag', async () => {
    const peer = new YamuxJs('server')
    await peer.receive({ type: 'data', flags: ['syn', 'fin'], id: 1, payload })
    expect(peer.opened).toHaveLength(0)
  })

  it('14 loses the credit that comes with SYN', async () => {
    const peer = new YamuxJs('server')
    await peer.receive({ type: 'windowUpdate', flags: ['syn'], id: 1, length: 256 * KiB })
    peer.opened[0]!.write(Buffer.alloc(512 * KiB))
    const frames = await peer.sent()
    expect(frames.reduce((sum, frame) => sum + frame.payload.length, 0)).toBe(256 * KiB)
    // Or it would go on asking every 100 ms for as long as the process lives, whether the stream is destroyed or not.
    await peer.receive({ type: 'windowUpdate', id: 1, length: 256 * KiB })
  })

  it('15 accepts a stream with its own parity', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(2))
    expect(peer.opened).toHaveLength(1)
  })

  it('16 accepts stream 0', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(0))
    expect(peer.opened).toHaveLength(1)
  })

  it('17 loses what stands behind GOAWAY in the same chunk', async () => {
    const peer = new YamuxJs('client')
    const { received } = peer.open()
    await peer.receive({ type: 'goAway', length: 0 }, { type: 'data', id: 1, payload })
    expect(received()).toBe(0)
  })

  it('18 announces a violation as a normal goodbye', async () => {
    const peer = new YamuxJs('server')
    await peer.bytes(Buffer.from('010000000000000100000000', 'hex'))
    expect((await peer.sent()).map(({ type, length }) => [type, length])).toEqual([['goAway', 0]])
  })

  it('19 hangs its pipeline after a violation: the chunk is never done with', async () => {
    const peer = new YamuxJs('server')
    let done = false
    peer.session.write(Buffer.from('000900000000000100000000', 'hex'), () => {
      done = true
    })
    await wait(20)
    expect([peer.errors.length, done]).toEqual([1, false])
  })

  it('20 does not send FIN at the end of its writer', async () => {
    const peer = new YamuxJs('client')
    const { stream } = peer.open()
    stream.end(payload)
    await once(stream, 'finish')
    expect((await peer.sent()).flatMap(({ flags }) => flags)).toEqual(['syn'])
  })

  it('21 does not tell the peer that a stream was destroyed', async () => {
    const peer = new YamuxJs('client')
    const { stream } = peer.open()
    await peer.sent()
    stream.destroy()
    await once(stream, 'close')
    expect(await peer.sent()).toEqual([])
  })

  it('22 acknowledges an accepted stream only when it first writes', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(1))
    expect(await peer.sent()).toEqual([])
  })

  it('23 hands out a dead stream after the peer went away', async () => {
    const peer = new YamuxJs('client')
    await peer.receive({ type: 'goAway', length: 0 })
    const { stream } = peer.open()
    expect(stream.write(payload)).toBe(true)
    expect(peer.errors).toHaveLength(1)
  })

  it('24 goes on after a second SYN for an open stream', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(1), syn(1), { type: 'data', id: 1, payload })
    expect(peer.errors.map(({ message }) => message)).toEqual(['duplicate stream initiated'])
    expect(peer.heard[0]).toMatchObject({ events: [] })
    expect(peer.heard[0]!.bytes.length).toBe(payload.length)
  })

  it('25 sends a whole window as one frame, which no other stream can pass', async () => {
    const peer = new YamuxJs('client')
    peer.open().stream.write(Buffer.alloc(256 * KiB))
    expect((await peer.sent()).map((frame) => frame.payload.length)).toContain(256 * KiB)
  })

  it('26 takes what it is given although nobody takes what it sends', async () => {
    const peer = new YamuxJs('client')
    const { stream } = peer.open()
    peer.session.pause()
    await peer.receive({ type: 'windowUpdate', id: 1, length: 64 * KiB * KiB })
    let written = 0
    for (; written < 32 * KiB * KiB; written += 64 * KiB) {
      await new Promise((done) => stream.write(Buffer.alloc(64 * KiB), done))
    }
    expect(peer.session.readableLength).toBeGreaterThan(written)
  })

  it('27 throws a RangeError at whoever opens a stream when its ids are used up', () => {
    const peer = new YamuxJs('client')
    Object.assign(peer.session, { nextStreamID: 2 ** 32 + 1 })
    expect(() => peer.session.open()).toThrow(RangeError)
  })

  it('28 lets a window be credited beyond 32 bits', async () => {
    const peer = new YamuxJs('client')
    const { stream } = peer.open()
    for (let update = 0; update < 3; update++) await peer.receive({ type: 'windowUpdate', id: 1, length: 0xffff_ffff })
    expect(Reflect.get(stream, 'sendWindow')).toBeGreaterThan(0xffff_ffff)
    expect(peer.errors).toEqual([])
  })

  it('29 leaves its streams open when the transport has ended', async () => {
    const peer = new YamuxJs('client')
    const { events } = peer.open()
    peer.session.end()
    await once(peer.session, 'end')
    await wait(20)
    expect(events).toEqual([])
  })

  it('30 reports a write to a reset stream as done, and as an error event beside', async () => {
    const peer = new YamuxJs('client')
    const { stream, events } = peer.open()
    await peer.receive({ type: 'windowUpdate', flags: ['rst'], id: 1 })
    const failed = await new Promise((done) => stream.write(payload, done))
    expect([failed, events]).toEqual([null, ['error']])
  })

  it('31 stops reading while an answer of its own waits, so that two ends that both write wait for each other', async () => {
    const peer = new YamuxJs('client')
    const heard = peer.open()
    peer.session.pause()
    heard.stream.write(Buffer.alloc(64 * KiB))
    await peer.receive({ type: 'ping', flags: ['syn'] })
    await peer.receive({ type: 'data', id: 1, payload })
    expect(heard.received()).toBe(0)
  })

  it('32 delivers data after FIN', async () => {
    const peer = new YamuxJs('server')
    await peer.receive(syn(1), { type: 'windowUpdate', flags: ['fin'], id: 1 }, { type: 'data', id: 1, payload })
    expect(peer.heard[0]!.bytes.length).toBe(payload.length)
  })
})
