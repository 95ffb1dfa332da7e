import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { INITIAL_WINDOW_BYTES, STREAM_BACKLOG_BYTES } from '../limits.ts'
import { duplexOf } from './stream-duplex.ts'
import { line, Solo } from './testing/solo.ts'

const KiB = 1024

function opened() {
  const solo = new Solo()
  const stream = solo.mux.openStream()
  const duplex = duplexOf(stream)
  solo.sent()
  return { solo, duplex, lines: () => solo.sent().map(line) }
}

describe('the Duplex of a stream', () => {
  it('writes bytes and sends FIN at its end, while it still reads', async () => {
    const { solo, duplex, lines } = opened()
    duplex.end('question')
    await once(duplex, 'finish')
    expect(lines()).toEqual(['data 2 8', 'windowUpdate 2 fin 0'])
    solo.receive({ type: 'data', flags: ['fin'], id: 2, payload: Buffer.from('late reply') })
    expect(Buffer.concat(await duplex.toArray()).toString()).toBe('late reply')
    await turn()
    expect([duplex.destroyed, solo.mux.openStreams]).toEqual([true, 0])
    expect(lines()).toEqual([])
  })

  it('ends reading at the peer’s FIN, while it still writes', async () => {
    const { solo, duplex, lines } = opened()
    solo.receive({ type: 'data', flags: ['fin'], id: 2, payload: Buffer.from('all') })
    duplex.on('data', (chunk) => expect(chunk.toString()).toBe('all'))
    await once(duplex, 'end')
    expect(duplex.destroyed).toBe(false)
    duplex.end('answer')
    await once(duplex, 'close')
    expect(lines()).toEqual(['data 2 6', 'windowUpdate 2 fin 0'])
  })

  it('gives bytes back to the window as they are read, not as they arrive', async () => {
    const { solo, duplex, lines } = opened()
    const quarter = Buffer.alloc(INITIAL_WINDOW_BYTES / 4)
    for (let count = 0; count < 4; count++) solo.receive({ type: 'data', id: 2, payload: quarter })
    await turn()
    expect([lines(), duplex.readableLength]).toEqual([[], 0])
    duplex.read(0)
    await turn()
    // Node's buffer takes one chunk ahead of its reader; nothing has been read.
    expect([lines(), duplex.readableLength]).toEqual([[], quarter.length])
    expect((duplex.read() as Buffer).length).toBeGreaterThanOrEqual(quarter.length)
    expect(lines()).toEqual([])
    expect((duplex.read() as Buffer).length).toBeGreaterThanOrEqual(quarter.length)
    expect(lines()).toContain(`windowUpdate 2 ${INITIAL_WINDOW_BYTES / 2}`)
  })

  it('keeps everything that a paused reader has not read, and loses nothing', async () => {
    const { solo, duplex } = opened()
    const all = Buffer.from(Array.from({ length: 200 * KiB }, (_, at) => at % 251))
    for (let at = 0; at < all.length; at += 7000)
      solo.receive({ type: 'data', id: 2, payload: all.subarray(at, at + 7000) })
    solo.receive({ type: 'windowUpdate', flags: ['fin'], id: 2 })
    expect(Buffer.concat(await duplex.toArray()).equals(all)).toBe(true)
  })

  it('holds its writer back while the stream is full', async () => {
    const { solo, duplex } = opened()
    let written = 0
    duplex.write(Buffer.alloc(STREAM_BACKLOG_BYTES), () => written++)
    duplex.write(Buffer.alloc(STREAM_BACKLOG_BYTES), () => written++)
    await turn()
    expect(written).toBe(0)
    solo.sent()
    await turn()
    expect(written).toBe(1)
    solo.sent()
    await turn()
    expect(written).toBe(2)
  })

  it('resets the stream when it is destroyed, and answers a write that waited', async () => {
    const { solo, duplex, lines } = opened()
    const answers: (Error | null | undefined)[] = []
    duplex.write(Buffer.alloc(STREAM_BACKLOG_BYTES), (error) => answers.push(error))
    duplex.destroy()
    await once(duplex, 'close')
    expect(lines()).toEqual(['windowUpdate 2 rst 0'])
    expect(answers).toHaveLength(1)
    expect(answers[0]).toBeInstanceOf(Error)
    expect(solo.mux.openStreams).toBe(0)
  })

  it('is destroyed with the fault when the stream is reset, so that nothing cut looks complete', async () => {
    const { solo, duplex } = opened()
    solo.receive(
      { type: 'data', id: 2, payload: Buffer.from('half of') },
      { type: 'windowUpdate', flags: ['rst'], id: 2 },
    )
    await expect(duplex.toArray()).rejects.toMatchObject({ code: 'stream-reset' })
  })

  it('is not reset by being finished while bytes and FIN still wait for the window', async () => {
    const { solo, duplex, lines } = opened()
    solo.receive({ type: 'windowUpdate', flags: ['fin'], id: 2 })
    duplex.resume()
    duplex.write(Buffer.alloc(INITIAL_WINDOW_BYTES))
    solo.sent()
    duplex.end(Buffer.from('tail'))
    await once(duplex, 'close')
    expect(lines()).toEqual([])
    solo.receive({ type: 'windowUpdate', id: 2, length: 100 })
    expect(lines()).toEqual(['data 2 4', 'windowUpdate 2 fin 0'])
  })

  it('echoes through a pipeline', async () => {
    const { solo, duplex } = opened()
    const done = pipeline(duplex, duplex)
    const sent = Buffer.alloc(100 * KiB, 'echo')
    solo.receive({ type: 'data', flags: ['fin'], id: 2, payload: sent })
    let frames = solo.sent()
    while (frames.at(-1)?.flags.includes('fin') !== true) {
      await turn()
      frames = [...frames, ...solo.sent()]
    }
    await done
    expect(Buffer.concat(frames.map(({ payload }) => payload)).equals(sent)).toBe(true)
  })
})
