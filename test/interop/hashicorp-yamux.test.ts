import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import type { RawStream } from '@postern/protocol/mux'
import { describe, expect, it } from 'vitest'
import { echo, pattern, readAll } from './exchange.ts'
import { muxOnSocket } from './mux-on-socket.ts'

/** The built program of ./go; `npm run test:interop` builds it where Go is at hand and sets this. */
const program = process.env.POSTERN_GO_PEER
const STREAMS = 200
const BYTES = 1_000_000

const title = program ? 'hashicorp/yamux' : 'hashicorp/yamux (skipped: needs Go, see npm run test:interop)'

describe.skipIf(!program).each(['agent', 'server'] as const)(`${title} against our %s`, (side) => {
  async function joined() {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = `127.0.0.1:${(server.address() as { port: number }).port}`
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const child: ChildProcess = spawn(program!, [side === 'agent' ? 'server' : 'client', address], { stdio: 'inherit' })
    const [socket] = await accepted
    server.close()
    const ours = muxOnSocket(socket, side, echo)
    return {
      ...ours,
      /** Opens a stream with a command; the caller reads the answer. */
      ask(command: string): RawStream {
        const stream = ours.mux.openStream()
        stream.write(Buffer.from(`${command}\n`))
        return stream
      },
      async [Symbol.asyncDispose]() {
        const exited = once(child, 'exit')
        socket.destroy()
        await exited
      },
    }
  }

  it(`has ${STREAMS} streams of ${BYTES} bytes echoed that we open, all at once`, async () => {
    await using peer = await joined()
    const results = await Promise.all(
      Array.from({ length: STREAMS }, async (_, index) => {
        const stream = peer.ask('echo')
        const sent = pattern(BYTES, index)
        const reply = readAll(stream)
        stream.write(sent)
        stream.end()
        return (await reply).equals(sent)
      }),
    )
    expect(results).toEqual(results.map(() => true))
    expect(peer.faults).toEqual([])
    expect(peer.mux.openStreams).toBe(0)
  })

  it(`echoes ${STREAMS} streams of ${BYTES} bytes that they open, all at once`, async () => {
    await using peer = await joined()
    expect((await readAll(peer.ask(`drive ${STREAMS} ${BYTES}`))).toString()).toBe('ok')
    expect(peer.faults).toEqual([])
  })

  it('keeps a half-closed stream open for a late reply', async () => {
    await using peer = await joined()
    const stream = peer.ask('late')
    const reply = readAll(stream)
    stream.write(pattern(300_000, 1))
    stream.end()
    expect((await reply).toString()).toBe('300000 <nil>')
  })

  it('hears our reset, and we theirs', async () => {
    await using peer = await joined()
    const doomed = peer.ask('await-reset')
    await new Promise((ready) => doomed.listen({ data: ready, end: () => {}, reset: () => {}, writable: () => {} }))
    doomed.reset()
    await expect.poll(async () => (await readAll(peer.ask('last-error'))).toString()).toBe('connection reset')

    const endings: string[] = []
    peer.ask('abandon').listen({
      data: () => {},
      end: () => endings.push('end'),
      reset: (why) => endings.push(why.code),
      writable: () => {},
    })
    await expect.poll(() => endings).toEqual(['end', 'stream-reset'])
    expect(peer.faults).toEqual([])
  })

  it('pings and is pinged, and refuses streams after going away', async () => {
    await using peer = await joined()
    peer.mux.ping()
    await expect.poll(() => peer.pongs).toHaveLength(1)
    expect((await readAll(peer.ask('ping'))).toString()).toBe('ok')
    expect((await readAll(peer.ask('go-away'))).toString()).toBe('ok')
    await expect.poll(() => peer.goAways).toEqual([0])
    expect(() => peer.mux.openStream()).toThrow(expect.objectContaining({ code: 'channel-closed' }))
  })
})
