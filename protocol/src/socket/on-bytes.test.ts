import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { onBytes } from './on-bytes.ts'

let server: Server

beforeAll(async () => {
  server = createServer({ allowHalfOpen: true })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterAll(() => {
  server.close()
})

/** The two ends of a connection. */
async function pair(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const accepted = once(server, 'connection')
  const far = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  const [near] = (await accepted) as [Socket]
  return { near, far }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Bytes are positions in a fixed sequence, so that order and loss show. */
class Sequence {
  #at = 0

  get length(): number {
    return this.#at
  }

  next(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#at++ % 251))
  }

  check(bytes: Buffer): void {
    for (const byte of bytes) if (byte !== this.#at++ % 251) throw new Error(`byte ${this.#at - 1} is another one`)
  }
}

describe('onBytes', () => {
  it('gives every byte once and in order, none while the socket is paused, and the end behind them', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('write' as const), bytes: fc.integer({ min: 1, max: 200_000 }) }),
      fc.constant({ kind: 'pause' as const }),
      fc.constant({ kind: 'resume' as const }),
      fc.constant({ kind: 'turn' as const }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), fc.boolean(), async (steps, pausesInside) => {
        const { near, far } = await pair()
        const [sent, taken] = [new Sequence(), new Sequence()]
        onBytes(near, (bytes) => {
          expect(near.isPaused()).toBe(false)
          taken.check(bytes)
          if (!pausesInside) return
          near.pause()
          setImmediate(() => near.resume())
        })
        const ended = once(near, 'end')
        for (const each of steps) {
          if (each.kind === 'write') far.write(sent.next(each.bytes))
          else if (each.kind === 'pause') near.pause()
          else if (each.kind === 'resume') near.resume()
          else await turn()
        }
        near.resume()
        far.end()
        await ended
        expect(taken.length).toBe(sent.length)
        near.destroy()
      }),
      { numRuns: 100 },
    )
  })

  it('a paused socket reads no more than its stream may hold', async () => {
    const { near, far } = await pair()
    onBytes(near, () => expect.unreachable())
    near.pause()
    const piece = Buffer.alloc(1024 * 1024)
    while (far.write(piece)) await turn()
    for (let i = 0; i < 100; i++) await turn()
    expect(near.readableLength).toBeGreaterThan(0)
    // The mark is judged after a read, and a read takes up to 64 KiB.
    expect(near.readableLength).toBeLessThan(near.readableHighWaterMark + 64 * 1024)
    near.destroy()
    far.destroy()
  })

  it('costs no event: another listener hears only of what had to wait', async () => {
    const { near, far } = await pair()
    let [taken, heard] = [0, 0]
    onBytes(near, (bytes) => {
      taken += bytes.length
    })
    near.on('data', (bytes: Buffer) => {
      heard += bytes.length
    })
    far.write('flows')
    while (taken < 5) await turn()
    expect(heard).toBe(0)
    near.pause()
    far.write('waits')
    while (near.readableLength < 5) await turn()
    near.resume()
    while (taken < 10) await turn()
    expect(heard).toBe(5)
    near.destroy()
    far.destroy()
  })

  it('undone, the bytes are for whoever listens next', async () => {
    const { near, far } = await pair()
    const heard: string[] = []
    const undo = onBytes(near, (bytes) => {
      heard.push(`first ${bytes}`)
      near.pause()
      undo()
    })
    far.write('one')
    while (heard.length < 1) await turn()
    far.write('two')
    while (near.readableLength < 3) await turn()
    near.on('data', (bytes: Buffer) => heard.push(`second ${bytes}`))
    near.resume()
    while (heard.length < 2) await turn()
    far.write('three')
    while (heard.length < 3) await turn()
    expect(heard).toEqual(['first one', 'second two', 'second three'])
    near.destroy()
    far.destroy()
  })
})
