import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { cutSocket } from './cut-socket.ts'

/** Both ends of a connection. */
async function connect(): Promise<{ near: Socket; far: Socket; ends: string[] }> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const far = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [near] = (await once(server, 'connection')) as [Socket]
  onTestFinished(() => {
    far.destroy()
    server.close()
  })
  const ends: string[] = []
  far.on('error', ({ code }: NodeJS.ErrnoException) => ends.push(String(code)))
  far.on('close', () => ends.push('close'))
  far.resume()
  near.on('error', () => {})
  return { near, far, ends }
}

test.each<[when: string, cut: (near: Socket) => void]>([
  ['in the turn of its end', (near) => cutSocket(near.end('last'))],
  ['right behind that turn', (near) => void process.nextTick(cutSocket, near.end('last'))],
  [
    'while what was written before its end waits for the peer',
    (near) => {
      near.write(Buffer.alloc(16 * 1024 * 1024))
      near.end()
      cutSocket(near)
    },
  ],
  ['when its end is out', (near) => void near.end('last', () => cutSocket(near))],
  ['in the middle of its writing', (near) => void near.write('part', () => cutSocket(near))],
])('cut %s, a socket closes at both ends', async (_when, cut) => {
  const { near, far } = await connect()
  const closed = Promise.all([once(near, 'close'), new Promise((resolve) => far.once('close', resolve))])
  cut(near)
  await closed
  expect(near.destroyed).toBe(true)
})

test('in the middle of its writing the peer sees a reset', async () => {
  const { near, ends } = await connect()
  near.write('part', () => cutSocket(near))
  await expect.poll(() => ends).toEqual(['ECONNRESET', 'close'])
})
