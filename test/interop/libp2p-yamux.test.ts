import { once } from 'node:events'
import type { RawStream } from '@postern/protocol/mux'
import { describe, expect, it } from 'vitest'
import { echo, pattern, readAll } from './exchange.ts'
import { libp2pOnSocket, readAllOfLibp2p, writeToLibp2p } from './libp2p-on-socket.ts'
import { muxOnSocket } from './mux-on-socket.ts'
import { socketPair } from './socket-pair.ts'

const STREAMS = 20
const BYTES = 1_000_000

describe.each(['agent', 'server'] as const)('@chainsafe/libp2p-yamux against our %s', (side) => {
  async function joined(onStream: (stream: RawStream) => void = echo) {
    const sockets = await socketPair()
    const ours = muxOnSocket(sockets.near, side, onStream)
    const theirs = libp2pOnSocket(sockets.far, side === 'agent' ? 'server' : 'agent')
    return { ours, theirs, [Symbol.asyncDispose]: () => sockets[Symbol.asyncDispose]() }
  }

  it(`echoes ${STREAMS} streams of ${BYTES} bytes that they open, all at once`, async () => {
    await using pair = await joined()
    const results = await Promise.all(
      Array.from({ length: STREAMS }, async (_, index) => {
        const stream = await pair.theirs.createStream()
        const sent = pattern(BYTES, index)
        const reply = readAllOfLibp2p(stream)
        await writeToLibp2p(stream, sent)
        await stream.close()
        return (await reply).equals(sent)
      }),
    )
    expect(results).toEqual(results.map(() => true))
    expect(pair.ours.faults).toEqual([])
    await expect.poll(() => pair.ours.mux.openStreams).toBe(0)
  })

  it(`has ${STREAMS} streams of ${BYTES} bytes echoed that we open, all at once`, async () => {
    await using pair = await joined()
    pair.theirs.addEventListener('stream', async ({ detail: stream }) => {
      for await (const chunk of stream) await writeToLibp2p(stream, Buffer.from(chunk.subarray()))
      await stream.close()
    })
    const results = await Promise.all(
      Array.from({ length: STREAMS }, async (_, index) => {
        const stream = pair.ours.mux.openStream()
        const sent = pattern(BYTES, index)
        const reply = readAll(stream)
        stream.write(sent)
        stream.end()
        return (await reply).equals(sent)
      }),
    )
    expect(results).toEqual(results.map(() => true))
    expect(pair.ours.faults).toEqual([])
    expect(pair.ours.mux.openStreams).toBe(0)
  })

  it('keeps a half-closed stream open for a late reply, both ways round', async () => {
    await using pair = await joined(async (stream) => {
      await readAll(stream)
      stream.write(Buffer.from('our late reply'))
      stream.end()
    })
    pair.theirs.addEventListener('stream', async ({ detail: stream }) => {
      await readAllOfLibp2p(stream)
      stream.send(Buffer.from('their late reply'))
      await stream.close()
    })
    const ours = pair.ours.mux.openStream()
    const reply = readAll(ours)
    ours.end()
    expect((await reply).toString()).toBe('their late reply')
    const theirs = await pair.theirs.createStream()
    theirs.send(Buffer.from('question'))
    await theirs.close()
    expect((await readAllOfLibp2p(theirs)).toString()).toBe('our late reply')
  })

  it('hears our reset, and we theirs', async () => {
    const opened: RawStream[] = []
    await using pair = await joined((stream) => {
      opened.push(stream)
      echo(stream)
    })
    const [theirs, aborted] = [await pair.theirs.createStream(), await pair.theirs.createStream()]
    await expect.poll(() => opened).toHaveLength(2)
    const closed = once(theirs, 'close') as Promise<[Event & { error?: Error }]>
    opened[0]!.reset()
    expect((await closed)[0].error).toBeInstanceOf(Error)
    const heard = readAll(opened[1]!)
    aborted.abort(new Error('enough'))
    await expect(heard).rejects.toMatchObject({ code: 'stream-reset' })
  })

  it('stops at our window while our reader stalls, and goes on when it does', async () => {
    let received = 0
    let stalled: RawStream | undefined
    await using pair = await joined((stream) => {
      stalled = stream
      stream.listen({ data: (chunk) => (received += chunk.length), end: () => {}, reset: () => {}, writable: () => {} })
    })
    const stream = await pair.theirs.createStream()
    const written = writeToLibp2p(stream, pattern(600_000, 1))
    await expect.poll(() => received).toBe(256 * 1024)
    await pair.theirs.ping()
    expect(received).toBe(256 * 1024)
    stalled!.consume(received)
    await expect.poll(() => received).toBe(512 * 1024)
    stalled!.consume(256 * 1024)
    await written
    await expect.poll(() => received).toBe(600_000)
    expect(pair.ours.faults).toEqual([])
  })

  it('answers pings and says goodbye', async () => {
    await using pair = await joined()
    expect(await pair.theirs.ping()).toBeGreaterThanOrEqual(0)
    pair.ours.mux.ping()
    await expect.poll(() => pair.ours.pongs).toHaveLength(1)
    await pair.theirs.close()
    await expect.poll(() => pair.ours.goAways).toEqual([0])
    expect(() => pair.ours.mux.openStream()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
  })
})
