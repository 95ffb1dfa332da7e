import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import {
  BODY_IDLE_MS,
  FRAME_PAYLOAD_BYTES,
  HELD_PIECE_BYTES,
  HELD_PIECES_PER_STREAM,
  INITIAL_WINDOW_BYTES,
  STREAM_BACKLOG_BYTES,
} from '../limits.ts'
import type { StreamListener } from './stream.ts'
import { line, Recorder, Solo } from './testing/solo.ts'
import { WindowBudget } from './window-budget.ts'

const KiB = 1024
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const lines = (solo: Solo, maxBytes?: number) => solo.sent(maxBytes).map(line)
const openedBy = (solo: Solo, id: number) =>
  solo.receive({ type: 'windowUpdate', flags: ['syn'], id }) ?? solo.opened.at(-1)!

describe('opening a stream', () => {
  it('sends SYN on the first data frame, without waiting for ACK', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    expect(stream.id).toBe(2)
    stream.write(Buffer.from('GET /'))
    stream.write(Buffer.from(' HTTP'))
    expect(lines(solo)).toEqual(['data 2 syn 10'])
    stream.write(Buffer.from('more'))
    expect(lines(solo)).toEqual(['data 2 4'])
  })

  it('sends SYN on a window update if there is nothing to say', () => {
    const solo = new Solo({ side: 'agent' })
    solo.open()
    solo.open()
    expect(lines(solo)).toEqual(['windowUpdate 1 syn 0', 'windowUpdate 3 syn 0'])
    expect(lines(solo)).toEqual([])
  })

  it('is acknowledged on the first frame of the reply, or by itself', () => {
    const solo = new Solo()
    const replying = openedBy(solo, 1)
    openedBy(solo, 3)
    replying.stream.write(Buffer.from('hi'))
    expect(lines(solo)).toEqual(['data 1 ack 2', 'windowUpdate 3 ack 0'])
  })

  it('delivers data that comes with SYN', () => {
    const solo = new Solo()
    solo.receive({ type: 'data', flags: ['syn', 'fin'], id: 1, payload: Buffer.from('whole') })
    expect(solo.opened[0]!.bytes.toString()).toBe('whole')
    expect(solo.opened[0]!.endings).toEqual(['end'])
  })

  it('accepts ids that overtake one another by a little', () => {
    const solo = new Solo()
    openedBy(solo, 5)
    openedBy(solo, 1)
    openedBy(solo, 3)
    expect(solo.opened.map(({ stream }) => stream.id)).toEqual([5, 1, 3])
    expect(solo.faults).toEqual([])
  })

  it('is refused by RST above the ceiling, and what follows is discarded', () => {
    const solo = new Solo({ peerStreams: 1 })
    openedBy(solo, 1)
    solo.receive(
      { type: 'data', flags: ['syn'], id: 3, payload: Buffer.from('x') },
      { type: 'data', id: 3, payload: Buffer.from('y') },
    )
    expect(solo.opened).toHaveLength(1)
    expect(lines(solo)).toEqual(['windowUpdate 3 rst 0', 'windowUpdate 1 ack 0'])
    solo.opened[0]!.stream.reset()
    openedBy(solo, 5)
    expect(solo.opened).toHaveLength(2)
    expect(solo.faults).toEqual([])
  })

  it('throws streams-exhausted above the own ceiling, until one has ended', () => {
    const solo = new Solo({ ownStreams: 2 })
    const { stream } = solo.open()
    solo.open()
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'streams-exhausted' }))
    stream.reset()
    solo.open()
    expect(solo.mux.openStreams).toBe(2)
  })

  it('throws channel-closed when the ids are used up', () => {
    const solo = new Solo({ side: 'agent', firstId: 0xffff_fffd })
    expect(solo.open().stream.id).toBe(0xffff_fffd)
    expect(solo.open().stream.id).toBe(0xffff_ffff)
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
    expect(lines(solo)).toEqual(['windowUpdate 4294967293 syn 0', 'windowUpdate 4294967295 syn 0'])
  })

  it('is refused in both directions while memory is short', () => {
    const solo = new Solo()
    solo.mux.refusing = true
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'streams-exhausted' }))
    solo.receive({ type: 'windowUpdate', flags: ['syn'], id: 1 })
    expect(lines(solo)).toEqual(['windowUpdate 1 rst 0'])
    solo.mux.refusing = false
    solo.open()
  })

  it('resets a stream nobody listens to', () => {
    const solo = new Solo()
    solo.onOpened = () => {}
    solo.receive({ type: 'windowUpdate', flags: ['syn'], id: 1 })
    expect(lines(solo)).toEqual(['windowUpdate 1 rst 0'])
    expect(solo.mux.openStreams).toBe(0)
  })

  it('leaves no trace of a stream that was reset before its SYN had left', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.from('never mind'))
    stream.reset()
    expect(lines(solo)).toEqual([])
  })
})

describe('ending a stream', () => {
  it('ends each direction by itself, FIN behind the data', () => {
    const solo = new Solo()
    const recorder = solo.open()
    recorder.stream.write(Buffer.from('question'))
    recorder.stream.end()
    expect(recorder.stream.write(Buffer.from('ignored'))).toBe(false)
    expect(lines(solo)).toEqual(['data 2 syn 8', 'windowUpdate 2 fin 0'])
    solo.receive({ type: 'data', flags: ['ack'], id: 2, payload: Buffer.from('late reply') })
    expect(recorder.bytes.toString()).toBe('late reply')
    expect(solo.mux.openStreams).toBe(1)
    solo.receive({ type: 'windowUpdate', flags: ['fin'], id: 2 })
    expect(recorder.endings).toEqual(['end'])
    expect(solo.mux.openStreams).toBe(0)
  })

  it('can still write after the peer has ended', () => {
    const solo = new Solo()
    const recorder = openedBy(solo, 1)
    solo.receive({ type: 'data', flags: ['fin'], id: 1, payload: Buffer.from('question') })
    expect([recorder.bytes.toString(), recorder.endings]).toEqual(['question', ['end']])
    recorder.stream.write(Buffer.from('answer'))
    recorder.stream.end()
    recorder.stream.end()
    expect(lines(solo)).toEqual(['data 1 ack 6', 'windowUpdate 1 fin 0'])
    expect(solo.mux.openStreams).toBe(0)
  })

  it('keeps FIN back until the window has let all data pass', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES + 5))
    stream.end()
    expect(lines(solo).at(-1)).toBe(`data 2 ${FRAME_PAYLOAD_BYTES}`)
    solo.receive({ type: 'windowUpdate', flags: ['ack'], id: 2, length: 100 })
    expect(lines(solo)).toEqual(['data 2 5', 'windowUpdate 2 fin 0'])
  })

  it('drops everything at a reset of our own: queue, listener, place in line', () => {
    const solo = new Solo()
    const recorder = solo.open()
    recorder.stream.write(Buffer.alloc(100))
    solo.sent()
    recorder.stream.write(Buffer.alloc(100 * KiB))
    recorder.stream.reset()
    recorder.stream.reset()
    expect(lines(solo)).toEqual(['windowUpdate 2 rst 0'])
    expect(recorder.endings).toEqual([])
    expect([solo.mux.openStreams, solo.mux.outputWaiting]).toEqual([0, false])
    // The peer does not know yet.
    solo.receive(
      { type: 'data', id: 2, payload: Buffer.alloc(200 * KiB) },
      { type: 'data', id: 2, payload: Buffer.alloc(200 * KiB) },
      { type: 'windowUpdate', id: 2, length: 5 },
      { type: 'windowUpdate', flags: ['fin'], id: 2 },
      { type: 'windowUpdate', flags: ['rst'], id: 2 },
    )
    expect([recorder.chunks.length, solo.faults.length]).toEqual([0, 0])
  })

  it('keeps nothing of a stream that was reset, even if somebody keeps the stream', async () => {
    const solo = new Solo()
    const { stream } = solo.open()
    const kept = [Buffer.alloc(100 * KiB), { data: () => {}, end: () => {}, reset: () => {}, writable: () => {} }]
    const seen = kept.map((value) => new WeakRef(value))
    stream.listen(kept.pop() as StreamListener)
    stream.write(kept.pop() as Buffer)
    stream.reset()
    // What a WeakRef was made of lives until the end of the job.
    await turn()
    collectGarbage()
    expect(seen.map((value) => value.deref())).toEqual([undefined, undefined])
    expect(stream.id).toBe(2)
  })

  it('tells the listener of a reset by the peer, once, also after its FIN', () => {
    const solo = new Solo()
    const recorder = solo.open()
    solo.sent()
    solo.receive({ type: 'windowUpdate', flags: ['ack', 'fin'], id: 2 }, { type: 'data', flags: ['rst'], id: 2 })
    expect(recorder.endings).toEqual(['end', 'reset stream-reset'])
    expect(recorder.stream.write(Buffer.from('x'))).toBe(false)
    recorder.stream.end()
    recorder.stream.consume(10)
    expect(lines(solo)).toEqual([])
  })

  it('discards the payload of a frame that resets its stream', () => {
    const solo = new Solo()
    const recorder = openedBy(solo, 1)
    solo.receive(
      { type: 'data', flags: ['rst'], id: 1, payload: Buffer.from('too late') },
      { type: 'ping', flags: ['syn'], length: 7 },
    )
    expect([recorder.bytes.length, recorder.endings]).toEqual([0, ['reset stream-reset']])
    expect(lines(solo)).toEqual(['ping 0 ack 7'])
  })
})

describe('a reset behind the end', () => {
  /** Stream 2 has filled the peer's window, waits with 1,000 bytes and its end, and nobody reads it any more. */
  function delivering(options = {}): { solo: Solo; recorder: Recorder } {
    const solo = new Solo(options)
    const recorder = solo.open(false)
    recorder.stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES + 1000))
    solo.sent()
    solo.receive({ type: 'data', flags: ['ack'], id: 2, payload: Buffer.from('early') })
    recorder.stream.end()
    recorder.stream.reset()
    return { solo, recorder }
  }
  const credit = (length: number) => ({ type: 'windowUpdate' as const, id: 2, length })

  it('leaves after what was written, and after the end', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.from('beginning'))
    solo.sent()
    stream.write(Buffer.from('whole'))
    stream.end()
    stream.reset()
    stream.reset()
    expect(lines(solo)).toEqual(['data 2 5', 'windowUpdate 2 fin 0', 'windowUpdate 2 rst 0'])
    expect([solo.mux.openStreams, solo.mux.outputWaiting]).toEqual([0, false])
  })

  it('waits for the peer’s window, and reads nothing meanwhile', () => {
    const { solo, recorder } = delivering()
    expect(lines(solo)).toEqual([])
    solo.receive({ type: 'data', id: 2, payload: Buffer.alloc(INITIAL_WINDOW_BYTES / 2) }, credit(400))
    recorder.stream.consume(INITIAL_WINDOW_BYTES / 2)
    expect(lines(solo)).toEqual(['data 2 400'])
    solo.receive(credit(600))
    expect(lines(solo)).toEqual(['data 2 600', 'windowUpdate 2 fin 0', 'windowUpdate 2 rst 0'])
    expect([recorder.bytes.toString(), recorder.endings, solo.faults]).toEqual(['early', [], []])
  })

  it('is no reset if the peer has ended as well', () => {
    const { solo } = delivering()
    solo.receive({ type: 'windowUpdate', flags: ['fin'], id: 2 }, credit(1000))
    expect(lines(solo)).toEqual(['data 2 1000', 'windowUpdate 2 fin 0'])
    expect(solo.mux.openStreams).toBe(0)
  })

  it('is over when the peer resets the stream, or the transport goes', () => {
    for (const end of [
      (solo: Solo) => solo.receive({ type: 'windowUpdate', flags: ['rst'], id: 2 }),
      (solo: Solo) => solo.mux.close(new TunnelFault('channel-lost')),
    ]) {
      const { solo, recorder } = delivering()
      end(solo)
      expect([solo.mux.openStreams, recorder.endings, solo.mux.heldBytes, lines(solo)]).toEqual([0, [], 0, []])
    }
  })

  it('gives its place to a stream that somebody wants', () => {
    const { solo } = delivering({ ownStreams: 2 })
    solo.open()
    const third = solo.open()
    expect(lines(solo)).toEqual(['windowUpdate 2 rst 0', 'windowUpdate 4 syn 0', 'windowUpdate 6 syn 0'])
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'streams-exhausted' }))
    expect(third.endings).toEqual([])
  })

  it('counts as held, by what it has to send, and gives way when memory is short', () => {
    const { solo } = delivering()
    expect(solo.mux.heldBytes).toBe(1000 + HELD_PIECE_BYTES)
    expect(solo.mux.resetLongestStalled()).toBe(true)
    expect([solo.mux.heldBytes, lines(solo)]).toEqual([0, ['windowUpdate 2 rst 0']])
  })

  it('comes by force when the peer has taken nothing for as long as a body may stand still', () => {
    const { solo } = delivering()
    solo.time += BODY_IDLE_MS
    solo.receive(credit(1))
    solo.sent()
    solo.time += BODY_IDLE_MS
    solo.mux.sweep()
    expect(lines(solo)).toEqual([])
    solo.time += 1
    solo.mux.sweep()
    expect(lines(solo)).toEqual(['windowUpdate 2 rst 0'])
    expect(solo.mux.openStreams).toBe(0)
  })

  it('leaves no trace of a stream that the peer has not heard of', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.from('never mind'))
    stream.end()
    stream.reset()
    expect([lines(solo), solo.mux.openStreams]).toEqual([[], 0])
  })
})

describe('flow control', () => {
  it('sends no more than the window, then what is credited', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES + 1000))
    const sent = solo.sent().reduce((sum, frame) => sum + frame.payload.length, 0)
    expect(sent).toBe(INITIAL_WINDOW_BYTES)
    expect(solo.mux.outputWaiting).toBe(false)
    solo.receive({ type: 'windowUpdate', id: 2, length: 300 })
    expect(lines(solo)).toEqual(['data 2 300'])
  })

  it('credits on consumption, half a window at a time', () => {
    const solo = new Solo()
    solo.consume = false
    const { stream } = openedBy(solo, 1)
    solo.sent()
    solo.receive({ type: 'data', id: 1, payload: Buffer.alloc(INITIAL_WINDOW_BYTES) })
    expect(lines(solo)).toEqual([])
    stream.consume(INITIAL_WINDOW_BYTES / 2 - 1)
    expect(lines(solo)).toEqual([])
    stream.consume(1)
    expect(lines(solo)).toContain(`windowUpdate 1 ${INITIAL_WINDOW_BYTES / 2}`)
    stream.consume(INITIAL_WINDOW_BYTES * 4)
    expect(lines(solo)).toContain(`windowUpdate 1 ${INITIAL_WINDOW_BYTES / 2}`)
  })

  it('costs a small request no window update', () => {
    const solo = new Solo()
    openedBy(solo, 1)
    solo.sent()
    for (let request = 0; request < 100; request++) {
      solo.receive({ type: 'data', id: 1, payload: Buffer.alloc(500) })
      expect(lines(solo)).toEqual([])
    }
  })

  it('grows the window of a reader that keeps up, measures the path for it, and gives the growth back', () => {
    const budget = new WindowBudget(32 * 1024 * KiB)
    const solo = new Solo({ budget })
    const { stream } = openedBy(solo, 1)
    solo.sent()
    const half = Buffer.alloc(INITIAL_WINDOW_BYTES / 2)
    solo.receive({ type: 'data', id: 1, payload: half })
    expect(lines(solo)).toEqual(['ping 0 syn 1', `windowUpdate 1 ${half.length}`])
    solo.time += 50
    solo.receive({ type: 'ping', flags: ['ack'], length: 1 }, { type: 'data', id: 1, payload: half })
    expect(lines(solo)).toEqual([`windowUpdate 1 ${half.length + INITIAL_WINDOW_BYTES}`])
    expect(budget.free).toBe(budget.bytes - INITIAL_WINDOW_BYTES)
    stream.reset()
    expect(budget.free).toBe(budget.bytes)
  })

  it('tells a writer to wait at the backlog and to go on when half of it has left', () => {
    const solo = new Solo()
    const recorder = solo.open()
    expect(recorder.stream.write(Buffer.alloc(STREAM_BACKLOG_BYTES - 1))).toBe(true)
    expect(recorder.stream.write(Buffer.alloc(1))).toBe(false)
    solo.sent(1)
    expect(recorder.room).toBe(1)
    solo.sent()
    expect(recorder.room).toBe(1)
  })

  it('tells a writer that awaits it when nothing waits any more, however little was written', () => {
    const solo = new Solo()
    const recorder = solo.open()
    recorder.stream.awaitEmpty?.()
    expect(recorder.stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES + 1))).toBe(false)
    solo.sent()
    expect(recorder.room).toBe(0)
    solo.receive({ type: 'windowUpdate', id: recorder.stream.id, length: 1 })
    solo.sent()
    expect(recorder.room).toBe(1)
    expect(recorder.stream.write(Buffer.alloc(0))).toBe(true)
  })

  it('holds the bytes of a stalled reader to one window and measures them', () => {
    const solo = new Solo()
    solo.consume = false
    openedBy(solo, 1)
    const chunk = { type: 'data' as const, id: 1, payload: Buffer.alloc(64 * KiB) }
    solo.receive(chunk, chunk, chunk, chunk)
    expect(solo.mux.heldBytes).toBeGreaterThanOrEqual(INITIAL_WINDOW_BYTES)
    expect(solo.mux.heldBytes).toBeLessThan(INITIAL_WINDOW_BYTES + 2 * KiB)
    solo.receive({ type: 'data', id: 1, payload: Buffer.alloc(1) })
    expect(solo.faults.map((fault) => fault.detail)).toEqual(['window overrun on stream 1'])
    expect(solo.mux.heldBytes).toBe(0)
  })

  it('measures what waits to be sent', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES))
    expect(solo.mux.heldBytes).toBe(INITIAL_WINDOW_BYTES + HELD_PIECE_BYTES)
    solo.sent()
    expect(solo.mux.heldBytes).toBe(0)
    for (let bytes = 0; bytes < STREAM_BACKLOG_BYTES; bytes++) stream.write(Buffer.from('x'))
    expect(solo.mux.heldBytes).toBeGreaterThan(STREAM_BACKLOG_BYTES)
    expect(solo.mux.heldBytes).toBeLessThan(1.1 * STREAM_BACKLOG_BYTES)
    stream.reset()
    expect(solo.mux.heldBytes).toBe(0)
  })

  it('leaves what waits on a stream of the peer’s to the stream that it comes from', () => {
    const solo = new Solo()
    solo.consume = false
    const { stream } = openedBy(solo, 1)
    stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES + 1000))
    expect(solo.mux.heldBytes).toBe(0)
    solo.sent()
    expect(solo.mux.resetLongestStalled()).toBe(false)
    solo.receive({ type: 'data', id: 1, payload: Buffer.alloc(10) })
    expect(solo.mux.heldBytes).toBe(10 + HELD_PIECE_BYTES)
    expect(solo.mux.resetLongestStalled()).toBe(true)
  })

  it('copies small pieces for a reader that is behind, so that it does not keep the whole chunk', () => {
    const solo = new Solo()
    solo.consume = false
    const recorder = openedBy(solo, 1)
    const small = { type: 'data' as const, id: 1, payload: Buffer.from('small') }
    solo.receive(small, small, { type: 'data', id: 1, payload: Buffer.alloc(10_000) })
    expect(recorder.chunks.map((chunk) => chunk.buffer.byteLength < 100)).toEqual([false, true, false])
    expect(recorder.bytes.subarray(0, 10).toString()).toBe('smallsmall')
  })

  it('copies the bytes together that a stalled reader is sent one by one, and hands on every one', async () => {
    const solo = new Solo()
    solo.consume = false
    const recorder = openedBy(solo, 1)
    const sent = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251))
    for (const byte of sent) solo.receive({ type: 'data', id: 1, payload: Buffer.from([byte]) })
    expect(recorder.chunks.length).toBeLessThan(HELD_PIECES_PER_STREAM + 20)
    expect(solo.mux.heldBytes).toBeLessThan(1.2 * (sent.length + HELD_PIECES_PER_STREAM * HELD_PIECE_BYTES))
    recorder.stream.consume(recorder.bytes.length)
    await Promise.resolve()
    expect(recorder.bytes.equals(sent)).toBe(true)
    expect([recorder.endings, solo.faults]).toEqual([[], []])
    recorder.stream.consume(sent.length)
    expect(solo.mux.heldBytes).toBe(0)
  })

  it('hands on what it has copied together before the end that follows it, and nothing after a reset', async () => {
    for (const [end, endings] of [
      ['fin', ['end']],
      ['rst', ['reset stream-reset']],
    ] as const) {
      const solo = new Solo()
      solo.consume = false
      const recorder = openedBy(solo, 1)
      const count = HELD_PIECES_PER_STREAM + 100
      for (let sent = 0; sent < count; sent++) solo.receive({ type: 'data', id: 1, payload: Buffer.from([1]) })
      expect(recorder.bytes.length).toBeLessThan(count)
      recorder.stream.consume(1)
      solo.receive({ type: 'windowUpdate', id: 1, flags: [end], length: 0 })
      expect(recorder.endings).toEqual(endings)
      const { length } = recorder.bytes
      if (end === 'fin') expect(length).toBe(count)
      await Promise.resolve()
      expect(recorder.bytes.length).toBe(length)
    }
  })

  it('resets the stream that moved nothing for the longest time', () => {
    const solo = new Solo()
    solo.consume = false
    const [first, second, idle] = [openedBy(solo, 1), openedBy(solo, 3), openedBy(solo, 5)]
    for (const id of [1, 3]) {
      solo.receive({ type: 'data', id, payload: Buffer.alloc(100) })
      solo.time += 10
    }
    first.stream.consume(50)
    expect(solo.mux.resetLongestStalled()).toBe(true)
    expect([first, second, idle].map(({ endings }) => endings.length)).toEqual([0, 1, 0])
    expect(solo.mux.resetLongestStalled()).toBe(true)
    expect(solo.mux.resetLongestStalled()).toBe(false)
    expect(idle.endings).toEqual([])
  })

  it('resets the stream whose bytes have waited for the peer’s window for the longest time', () => {
    const solo = new Solo()
    const [first, second, third] = [solo.open(), solo.open(), solo.open()]
    for (const { stream } of [first, second]) {
      stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES + 100))
      solo.sent()
      solo.time += 10
    }
    solo.receive({ type: 'windowUpdate', id: first.stream.id, length: 50 })
    solo.sent()
    solo.time += 10
    solo.receive({ type: 'ping', flags: ['syn'] })
    third.stream.write(Buffer.from('just now'))
    const reset = () => [first, second, third].map(({ endings }) => endings.length)
    expect([solo.mux.resetLongestStalled(), reset()]).toEqual([true, [0, 1, 0]])
    expect([solo.mux.resetLongestStalled(), reset()]).toEqual([true, [1, 1, 0]])
    expect([solo.mux.resetLongestStalled(), reset()]).toEqual([true, [1, 1, 1]])
    expect(solo.mux.resetLongestStalled()).toBe(false)
  })
})

describe('the write side', () => {
  it('takes streams in turn, at most 32 KiB a frame', () => {
    const solo = new Solo()
    const [first, second] = [solo.open(), solo.open()]
    first.stream.write(Buffer.alloc(80 * KiB))
    second.stream.write(Buffer.alloc(40 * KiB))
    expect(lines(solo)).toEqual(['data 2 syn 32768', 'data 4 syn 32768', 'data 2 32768', 'data 4 8192', 'data 2 16384'])
  })

  it('stops at the given size, says that more waits, and does not announce it again', () => {
    const solo = new Solo()
    const { stream } = solo.open()
    stream.write(Buffer.alloc(100 * KiB))
    expect(solo.outputReady).toBe(1)
    expect(lines(solo, 40 * KiB)).toEqual(['data 2 syn 32768', 'data 2 32768'])
    expect(solo.mux.outputWaiting).toBe(true)
    stream.write(Buffer.alloc(1))
    solo.mux.ping()
    expect(solo.outputReady).toBe(1)
    expect(lines(solo)).toHaveLength(3)
    expect(solo.mux.outputWaiting).toBe(false)
    stream.write(Buffer.alloc(1))
    stream.write(Buffer.alloc(1))
    expect(solo.outputReady).toBe(2)
  })

  it('announces what comes after all that waited has gone by a reset', () => {
    const solo = new Solo()
    const [doomed, other] = [solo.open(), solo.open()]
    doomed.stream.write(Buffer.alloc(100 * KiB))
    solo.sent(40 * KiB)
    expect(solo.mux.outputWaiting).toBe(true)
    solo.receive({ type: 'windowUpdate', flags: ['rst'], id: doomed.stream.id })
    expect(solo.mux.outputWaiting).toBe(false)
    other.stream.write(Buffer.from('still here'))
    expect(solo.outputReady).toBe(2)
    expect(lines(solo)).toEqual(['data 4 10'])
  })

  it('lets control frames pass while it takes no data', () => {
    const solo = new Solo()
    solo.open().stream.write(Buffer.alloc(10))
    solo.receive({ type: 'ping', flags: ['syn'], length: 9 })
    expect(lines(solo, 0)).toEqual(['ping 0 ack 9'])
    expect(lines(solo)).toEqual(['data 2 syn 10'])
  })

  it('sends an expedited stream first, so that what it says of another arrives before that one is reset', () => {
    const solo = new Solo()
    const [bulk, doomed, control] = [solo.open(), solo.open(), solo.open()]
    solo.sent()
    solo.mux.expedite(control.stream)
    bulk.stream.write(Buffer.alloc(10))
    doomed.stream.reset()
    control.stream.write(Buffer.from('stream-fault'))
    expect(lines(solo, 0)).toEqual(['data 6 12', 'windowUpdate 4 rst 0'])
    expect(lines(solo)).toEqual(['data 2 10'])
  })

  it('expedites what was already waiting', () => {
    const solo = new Solo()
    const [bulk, control] = [solo.open(), solo.open()]
    bulk.stream.write(Buffer.alloc(10))
    control.stream.write(Buffer.alloc(20))
    solo.mux.expedite(control.stream)
    solo.mux.expedite(control.stream)
    expect(lines(solo)).toEqual(['data 4 syn 20', 'data 2 syn 10'])
  })

  it('gives small requests as one piece and large payload as it is', () => {
    const solo = new Solo()
    const streams = [solo.open(), solo.open(), solo.open()].map(({ stream }) => stream)
    // What is written where the shared slab ends goes on in the next one: what follows then begins there.
    for (let pieces = 1; pieces === 1; ) {
      const other = new Solo()
      other.open().stream.write(Buffer.alloc(300))
      pieces = other.mux.pull(1e6).length
    }
    solo.mux.pull(1e6)
    for (const stream of streams) stream.write(Buffer.alloc(300))
    expect(solo.mux.pull(1e6)).toHaveLength(1)
    const large = Buffer.alloc(20 * KiB, 'x')
    streams[0]!.write(large)
    const pieces = solo.mux.pull(1e6)
    expect(pieces.map((piece) => piece.length)).toEqual([12, 20 * KiB])
    expect(pieces[1]).toBe(large)
  })
})

describe('the session', () => {
  it('answers each ping and measures its own', () => {
    const solo = new Solo()
    solo.mux.ping()
    solo.time += 42
    expect(lines(solo)).toEqual(['ping 0 syn 1'])
    solo.receive({ type: 'ping', flags: ['ack'], length: 77 }, { type: 'ping', flags: ['syn'], length: 0xffff_ffff })
    solo.receive({ type: 'ping', flags: ['ack'], length: 1 }, { type: 'ping', flags: ['ack'], length: 1 })
    expect(solo.pongs).toEqual([42])
    expect(solo.mux.roundTripMs).toBe(42)
    expect(lines(solo)).toEqual(['ping 0 ack 4294967295'])
  })

  it('opens nothing after the peer went away, and lets open streams finish', () => {
    const solo = new Solo()
    const recorder = solo.open()
    solo.receive(
      { type: 'goAway', length: 0 },
      { type: 'goAway', length: 2 },
      { type: 'data', id: 2, payload: Buffer.from('x') },
    )
    expect(solo.goAways).toEqual([0])
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
    expect(recorder.bytes.toString()).toBe('x')
  })

  it('accepts nothing after it went away itself', () => {
    const solo = new Solo()
    solo.mux.goAway(0)
    solo.mux.goAway(0)
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
    solo.receive({ type: 'windowUpdate', flags: ['syn'], id: 1 })
    expect(lines(solo)).toEqual(['goAway 0 0', 'windowUpdate 1 rst 0'])
  })

  it('resets every stream when the transport is gone, once, and is silent afterwards', () => {
    const solo = new Solo()
    const recorders = [solo.open(), openedBy(solo, 1)]
    recorders[0]!.stream.write(Buffer.from('unsent'))
    solo.mux.close(new TunnelFault('channel-lost'))
    solo.mux.close(new TunnelFault('channel-closed'))
    expect(recorders.map(({ endings }) => endings)).toEqual([['reset channel-lost'], ['reset channel-lost']])
    solo.receive({ type: 'ping', flags: ['syn'] })
    solo.mux.ping()
    solo.mux.goAway(0)
    expect(solo.mux.pull(1e6)).toEqual([])
    expect(solo.faults).toEqual([])
    expect(() => solo.open()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
  })

  it('resets a stream whose listener throws, with the cause, and no other', () => {
    const solo = new Solo()
    const cause = new Error('a defect')
    const beside = openedBy(solo, 1)
    solo.onOpened = (stream) =>
      stream.listen({
        data: () => {
          throw cause
        },
        end: () => {},
        reset: () => {},
        writable: () => {},
      })
    solo.receive({ type: 'data', flags: ['syn'], id: 3, payload: Buffer.from('x') })
    expect(solo.crashes.map((fault) => [fault.code, fault.cause])).toEqual([['internal-error', cause]])
    expect(solo.faults).toEqual([])
    expect(beside.endings).toEqual([])
    expect(lines(solo)).toContain('windowUpdate 3 rst 0')
    solo.receive({ type: 'data', id: 1, payload: Buffer.from('goes on') })
    expect(beside.bytes.toString()).toBe('goes on')
  })

  it.each(['data', 'end', 'reset', 'writable', 'streamOpened'] as const)(
    'a listener that throws in %s, and again when it is reset, ends its own stream',
    (callback) => {
      const solo = new Solo()
      const fail = (): never => {
        throw new Error('a defect')
      }
      solo.onOpened = (stream) => {
        stream.listen({ data: () => {}, end: () => {}, writable: () => {}, reset: fail, [callback]: fail })
        if (callback === 'streamOpened') fail()
        if (callback === 'writable') while (stream.write(Buffer.alloc(16 * KiB))) {}
      }
      solo.receive({ type: 'data', flags: ['syn'], id: 1, payload: Buffer.from('x') })
      if (callback === 'end') solo.receive({ type: 'windowUpdate', flags: ['fin'], id: 1 })
      if (callback === 'reset') solo.receive({ type: 'windowUpdate', flags: ['rst'], id: 1 })
      solo.mux.pull(1e6)
      expect(solo.crashes.length).toBeGreaterThan(0)
      expect([solo.mux.openStreams, solo.faults]).toEqual([0, []])
    },
  )

  it('tells a new listener and no longer the former one', () => {
    const solo = new Solo()
    const former = openedBy(solo, 1)
    const latter = new Recorder(former.stream)
    solo.receive({ type: 'data', flags: ['fin'], id: 1, payload: Buffer.from('x') })
    expect([former.chunks.length, former.endings]).toEqual([0, []])
    expect([latter.bytes.toString(), latter.endings]).toEqual(['x', ['end']])
  })
})
