/** What counts as a flood, and what only looks like one: frames without payload that answer ours, and that wait for the peer. */
import { describe, expect, it } from 'vitest'
import { CONTROL_BACKLOG_FRAMES, CONTROL_FRAMES_PER_SECOND, EARNED_ANSWERS, INITIAL_WINDOW_BYTES } from '../limits.ts'
import { encode, type Frame } from './testing/slow-codec.ts'
import { line, Solo } from './testing/solo.ts'

type Sent = Partial<Frame> & Pick<Frame, 'type'>
const request = Buffer.from('GET / HTTP/1.1\r\n\r\n')
const syn = (id: number): Sent => ({ type: 'windowUpdate', flags: ['syn'], id })
const ack = (id: number): Sent => ({ type: 'windowUpdate', flags: ['ack'], id })
const fin = (id: number): Sent => ({ type: 'windowUpdate', flags: ['fin'], id })
const rst = (id: number): Sent => ({ type: 'windowUpdate', flags: ['rst'], id })
const ping: Sent = { type: 'ping', flags: ['syn'] }
const FLOOD = 'a flood of frames without payload'

/** A server with stream 2 opened by itself, and stream 1, the only one that the peer may open. */
function busy(): Solo {
  const solo = new Solo({ peerStreams: 1 })
  solo.open()
  solo.receive(syn(1))
  solo.sent()
  return solo
}

describe('a flood', () => {
  it('of pings ends the session after two seconds’ worth at most', () => {
    const solo = busy()
    let pings = 0
    // An hour of silence saves nothing up.
    solo.time += 3_600_000
    while (solo.faults.length === 0 && pings < 1e5) {
      solo.receive({ ...ping, length: pings++ })
      solo.sent()
    }
    expect(pings).toBeLessThanOrEqual(2 * CONTROL_FRAMES_PER_SECOND + 1)
    expect(solo.faults[0]!.detail).toBe(FLOOD)
  })

  it('of pings is not paid for by the streams that were opened to the peer', () => {
    const solo = busy()
    for (let stream = 0; stream < 10_000; stream++) {
      solo.open().stream.reset()
      solo.receive({ type: 'data', id: 1, payload: Buffer.from('.') })
    }
    for (let count = 0; count < 2 * CONTROL_FRAMES_PER_SECOND; count++) solo.receive(ping)
    expect(solo.faults.map((fault) => fault.detail)).toEqual([FLOOD])
  })

  it('is not what a steady rate below the ceiling is', () => {
    const solo = busy()
    for (let second = 0; second < 20; second++) {
      for (let count = 0; count < CONTROL_FRAMES_PER_SECOND * 0.9; count++) {
        solo.receive(ping)
        solo.time += 1000 / (CONTROL_FRAMES_PER_SECOND * 0.9)
      }
      solo.sent()
    }
    expect(solo.faults).toEqual([])
  })

  it.each<[string, (round: number) => Sent[]]>([
    ['empty data', () => [{ type: 'data', id: 1 }]],
    ['empty window updates', () => [{ type: 'windowUpdate', id: 2 }]],
    ['streams beyond the ceiling', (round) => [syn(round * 2 + 3)]],
    ['streams opened and reset beyond the ceiling', (round) => [syn(round * 2 + 3), rst(round * 2 + 3)]],
    ['streams opened and reset in one frame', (round) => [{ ...syn(round * 2 + 3), flags: ['syn', 'rst'] }]],
    ['streams with data beyond the ceiling', (round) => [{ type: 'data', flags: ['syn'], id: round * 2 + 3 }]],
    ['frames for a dead stream', () => [{ type: 'windowUpdate', id: 4 }]],
    ['GOAWAYs', () => [{ type: 'goAway' }]],
    ['pongs', () => [{ type: 'ping', flags: ['ack'], length: 77 }]],
  ])('of %s ends the session', (_title, frames) => {
    const solo = busy()
    solo.open().stream.reset()
    // Eight are answers: three for each of two streams of ours, two for the one that the peer has opened.
    for (let round = 0; round < CONTROL_FRAMES_PER_SECOND + 9; round++) solo.receive(...frames(round))
    expect(solo.mux.openStreams).toBe(0)
    expect(solo.faults.map((fault) => fault.detail)).toEqual([FLOOD])
  })

  it('of answers that were saved up is as long as EARNED_ANSWERS and a second', () => {
    const solo = busy()
    for (let stream = 0; stream < EARNED_ANSWERS; stream++) solo.open().stream.reset()
    const dead = encode({ type: 'windowUpdate', id: 4 })
    const most = EARNED_ANSWERS + CONTROL_FRAMES_PER_SECOND
    solo.mux.receive(Buffer.concat(Array.from({ length: most }, () => dead)))
    expect(solo.faults).toEqual([])
    for (let more = 0; more < 3; more++) solo.mux.receive(dead)
    expect(solo.faults.map((fault) => fault.detail)).toEqual([FLOOD])
  })
})

describe('no flood', () => {
  it('is what a peer sends that credits every one of many frames', () => {
    const solo = busy()
    const { stream } = solo.open()
    for (let frame = 0; frame < 20_000; frame++) {
      stream.write(Buffer.alloc(10))
      solo.sent()
    }
    solo.mux.receive(
      Buffer.concat(Array.from({ length: 20_000 }, () => encode({ type: 'windowUpdate', id: stream.id, length: 10 }))),
    )
    expect(solo.faults).toEqual([])
  })

  it('is the end of streams that this side opened, however many in a moment', () => {
    const solo = busy()
    for (let round = 0; round < 5000; round++) {
      const { stream, endings } = solo.open()
      stream.write(request)
      solo.sent()
      solo.receive(ack(stream.id), ...(round % 2 ? [fin(stream.id)] : []), rst(stream.id))
      expect(endings.at(-1)).toBe('reset stream-reset')
    }
    expect(solo.faults).toEqual([])
  })

  it('is the answer to streams that this side has withdrawn meanwhile', () => {
    const solo = busy()
    for (let round = 0; round < 5000; round++) {
      const { stream } = solo.open()
      stream.write(request)
      solo.sent()
      stream.reset()
      solo.sent()
      solo.receive(ack(stream.id), fin(stream.id), rst(stream.id))
    }
    expect(solo.faults).toEqual([])
  })

  it('is what a server does that opens streams and takes them back, with and without data', () => {
    const solo = new Solo({ side: 'agent' })
    for (let id = 2; id <= 10_000; id += 2) {
      solo.receive({ type: 'data', flags: ['syn'], id, ...(id % 4 && { payload: request }) }, fin(id), rst(id))
      solo.sent()
    }
    expect(solo.opened.length).toBe(5000)
    expect(solo.faults).toEqual([])
  })

  it.each(['goes away', 'is short of memory'])('is what comes for streams that are refused as this side %s', (why) => {
    const solo = new Solo({ side: 'agent' })
    if (why === 'goes away') solo.mux.goAway(0)
    else solo.mux.refusing = true
    for (let id = 2; id <= 10_000; id += 2) {
      solo.receive(syn(id), fin(id), rst(id))
      solo.sent()
    }
    expect([solo.opened.length, solo.faults]).toEqual([0, []])
  })
})

describe('frames that wait for the peer', () => {
  it('are as many as there are streams to reset: none of those that stay notices', () => {
    const solo = new Solo({ side: 'agent', peerStreams: 1, ownStreams: 16_000 })
    const leaving = Array.from({ length: 10_000 }, () => solo.open())
    const staying = Array.from({ length: 1000 }, () => solo.open())
    solo.sent()
    for (const { stream } of leaving) stream.reset()
    expect(solo.mux.congested).toBe(false)
    expect(solo.sent().filter(({ flags }) => flags.includes('rst'))).toHaveLength(leaving.length)
    expect(staying.flatMap(({ endings }) => endings)).toEqual([])
    expect(solo.faults).toEqual([])
  })

  it('congest the session when they answer the peer, until they are taken', () => {
    const solo = busy()
    let count = 0
    for (; !solo.mux.congested && count < 1e5; count++) {
      solo.receive(ping)
      solo.time += 1
    }
    expect(count).toBe(CONTROL_BACKLOG_FRAMES + 2)
    expect(solo.faults).toEqual([])
    expect(solo.sent()).toHaveLength(count)
    expect(solo.mux.congested).toBe(false)
  })

  it('congest the session by no more streams than the peer may open', () => {
    const solo = new Solo({ side: 'agent', peerStreams: 8000 })
    for (let id = 2; id <= 16_000; id += 2) solo.receive({ type: 'data', flags: ['syn'], id, payload: request })
    solo.sent()
    for (const { stream } of solo.opened) stream.reset()
    expect(solo.mux.congested).toBe(false)
    // A peer that goes on without reading: streams in place of those whose end it has not read.
    for (let id = 16_002; !solo.mux.congested && id < 1e6; id += 2) {
      solo.receive({ type: 'data', flags: ['syn'], id, payload: request })
      solo.opened.at(-1)!.stream.reset()
    }
    expect(solo.opened.length).toBe(8000 + CONTROL_BACKLOG_FRAMES + 1)
  })
})

describe('a reset', () => {
  /** The expedited stream has used up the peer's window, and has said something of stream 4 that it does not let through. */
  function held(): { solo: Solo; control: number } {
    const solo = new Solo()
    const [control, doomed, other] = [solo.open(), solo.open(), solo.open()]
    solo.mux.expedite(control.stream)
    control.stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES))
    solo.sent()
    control.stream.write(Buffer.from('why'))
    doomed.stream.reset()
    other.stream.write(request)
    solo.mux.ping()
    expect(solo.sent().map(line)).toEqual(['ping 0 syn 1', `data 6 ${request.length}`])
    expect(solo.mux.outputWaiting).toBe(false)
    return { solo, control: control.stream.id }
  }

  it('does not overtake what was said of its stream while the window of the expedited stream is used up', () => {
    const { solo, control } = held()
    const announced = solo.outputReady
    solo.receive({ type: 'windowUpdate', id: control, length: 2 })
    expect(solo.outputReady).toBe(announced + 1)
    expect(solo.sent().map(line)).toEqual([`data ${control} 2`])
    solo.receive({ type: 'windowUpdate', id: control, length: 1 })
    expect(solo.sent().map(line)).toEqual([`data ${control} 1`, 'windowUpdate 4 rst 0'])
  })

  it('goes when nothing can be said of its stream any more', () => {
    const { solo, control } = held()
    const announced = solo.outputReady
    solo.receive(rst(control))
    expect(solo.outputReady).toBe(announced + 1)
    expect(solo.sent().map(line)).toEqual(['windowUpdate 4 rst 0'])
  })

  it('that waits so counts for a peer that gives the expedited stream no window', () => {
    const solo = new Solo({ side: 'agent' })
    const control = solo.open()
    solo.mux.expedite(control.stream)
    control.stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES + 1))
    for (let id = 2; !solo.mux.congested && id < 1e6; id += 2) {
      solo.receive({ type: 'data', flags: ['syn'], id, payload: request })
      solo.opened.at(-1)!.stream.reset()
      solo.sent()
    }
    expect(solo.opened.length).toBe(256 + CONTROL_BACKLOG_FRAMES + 1)
  })
})
