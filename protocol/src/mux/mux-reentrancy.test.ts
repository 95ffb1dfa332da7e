import { describe, expect, it } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { STREAM_BACKLOG_BYTES } from '../limits.ts'
import type { RawStream, StreamListener } from './stream.ts'
import type { Frame } from './testing/slow-codec.ts'
import { line, Recorder, Solo } from './testing/solo.ts'

const payload = Buffer.alloc(1000)
const quiet: StreamListener = { data: () => {}, end: () => {}, reset: () => {}, writable: () => {} }

type Callback = keyof StreamListener | 'streamOpened'
type Act = (solo: Solo, stream: RawStream) => void

/** Makes each callback happen on stream 1, opened by the peer, with frames for stream 3 in the same chunk behind it. */
const TRIGGERS: Record<Callback, (solo: Solo) => void> = {
  streamOpened: (solo) => solo.receive({ type: 'data', flags: ['syn'], id: 1, payload }, ...behind),
  data: (solo) => solo.receive({ type: 'data', flags: ['syn', 'fin'], id: 1, payload }, ...behind),
  end: (solo) => solo.receive({ type: 'data', flags: ['syn', 'fin'], id: 1, payload }, ...behind),
  reset: (solo) => solo.receive({ type: 'windowUpdate', flags: ['syn', 'rst'], id: 1 }, ...behind),
  writable: (solo) => {
    solo.receive({ type: 'windowUpdate', flags: ['syn'], id: 1 })
    solo.opened[0]!.stream.write(Buffer.alloc(STREAM_BACKLOG_BYTES))
    solo.mux.pull(1e9)
    solo.receive(...behind)
  },
}
const behind: (Partial<Frame> & Pick<Frame, 'type'>)[] = [
  { type: 'data', flags: ['syn'], id: 3, payload },
  { type: 'data', id: 3, payload },
]

const ACTS: Record<string, Act> = {
  'resets its stream': (_solo, stream) => stream.reset(),
  'resets it, ends it, writes to it and consumes': (_solo, stream) => {
    stream.reset()
    stream.end()
    stream.write(payload)
    stream.consume(10)
    stream.listen(quiet)
  },
  'ends and writes': (_solo, stream) => {
    stream.write(payload)
    stream.end()
  },
  'opens a stream': (solo) => void solo.open().stream.write(payload),
  'goes away': (solo) => solo.mux.goAway(0),
  pings: (solo) => solo.mux.ping(),
  'closes the session': (solo) => solo.mux.close(new TunnelFault('channel-closed')),
  'closes the session and opens a stream': (solo) => {
    solo.mux.close(new TunnelFault('channel-closed'))
    expect(() => solo.open()).toThrow(TunnelFault)
  },
}

const callbacks = Object.keys(TRIGGERS) as Callback[]

describe.each(callbacks)('inside %s', (callback) => {
  it.each(Object.entries(ACTS))('a user that %s does no harm', (title, act) => {
    const solo = new Solo()
    let calls = 0
    const once = (stream: RawStream) => () => {
      if (calls++ === 0) act(solo, stream)
    }
    solo.onOpened = (stream) => {
      if (stream.id !== 1) return void solo.opened.push(new Recorder(stream))
      solo.opened.push(new Recorder(stream))
      stream.listen(callback === 'streamOpened' ? quiet : { ...quiet, [callback]: once(stream) })
      if (callback === 'streamOpened') once(stream)()
    }
    TRIGGERS[callback](solo)
    expect(calls).toBeGreaterThan(0)
    expect(solo.faults).toEqual([])
    const closed = title.startsWith('closes')
    const beside = solo.opened.find(({ stream }) => stream.id === 3)
    if (!closed && title !== 'goes away') expect(beside?.bytes.length).toBe(2 * payload.length)
    const frames = solo.sent().map(line)
    if (closed) expect(frames).toEqual([])
    expect(solo.mux.openStreams).toBe(closed ? 0 : solo.mux.openStreams)
    expect(solo.mux.outputWaiting).toBe(false)
  })
})

describe('when the session closes', () => {
  it('a reset that closes it again, resets others or opens streams does no harm', () => {
    const solo = new Solo()
    const streams = [solo.open(), solo.open(), solo.open()].map(({ stream }) => stream)
    let resets = 0
    for (const stream of streams) {
      stream.listen({
        ...quiet,
        reset: () => {
          resets++
          for (const other of streams) other.reset()
          solo.mux.close(new TunnelFault('channel-closed'))
          expect(() => solo.mux.openStream()).toThrow(TunnelFault)
        },
      })
    }
    solo.mux.close(new TunnelFault('channel-lost'))
    // The first one's listener reset the others itself, and who resets is not called.
    expect(resets).toBe(1)
    expect(solo.mux.openStreams).toBe(0)
  })

  it('inside violated, closing and pulling do no harm', () => {
    const solo = new Solo()
    solo.open()
    solo.faults.push = () => {
      const sent = solo.sent().map(line)
      solo.mux.close(new TunnelFault('channel-closed'))
      expect(sent).toEqual(['goAway 0 1'])
      return 1
    }
    solo.receive({ type: 'ping' })
    expect(solo.mux.pull(1e6)).toEqual([])
  })
})
