/** As many idle connections of visitors as a task takes, and newcomers beside them. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { VISITORS_PER_TASK } from '@postern/protocol/limits'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { inParallel, tell } from './experiment.ts'
import { startGoodTunnel } from './good-tunnel.ts'
import { BASE, lastWords, startTaskProcess, type TaskProcess } from './task-process.ts'

const CROWD = ['127.0.0.5', '127.0.0.6', '127.0.0.7', '127.0.0.8']
const GUEST = '127.0.0.9'
const GUESTS = 20
/** A crowd that comes again and again. */
const MORE = size(2000, 20_000)
const AT_ONCE = 50
const HOST = `good.${BASE}`
const REQUEST = `GET / HTTP/1.1\r\nHost: none.${BASE}\r\n\r\n`

let task: TaskProcess
const sockets = new Set<Socket>()
beforeAll(async () => {
  task = await startTaskProcess()
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await task.stop()
})

/** A connection that has had its answer, and waits. It is undefined if it was refused. */
async function idle(localAddress: string): Promise<Socket | undefined> {
  const socket = connect({ port: task.publicPort, host: '127.0.0.1', localAddress })
  sockets.add(socket)
  socket.on('error', () => {})
  socket.on('close', () => sockets.delete(socket))
  socket.write(REQUEST)
  const first = await Promise.race([
    once(socket, 'data').then(([bytes]) => bytes as Buffer),
    once(socket, 'close').then(() => undefined),
  ])
  socket.resume()
  return first?.toString('latin1').startsWith('HTTP/1.1 404') ? socket : undefined
}

test('row 26: idle connections make place for newcomers, those of the largest crowd first, and nobody is refused', async () => {
  const began = performance.now()
  const ticket = await task.desk.issue('good', task.channelPort)
  const good = await startGoodTunnel({ ticket, publicPort: task.publicPort, host: HOST, visitorAddress: '127.0.0.2' })
  const guests = await Promise.all(Array.from({ length: GUESTS }, () => idle(GUEST)))
  let refused = 0
  const fill = async (count: number): Promise<number> => {
    const start = performance.now()
    await inParallel(count, AT_ONCE, async (index) => {
      if ((await idle(CROWD[index % CROWD.length]!)) === undefined) refused += 1
    })
    return Math.round((count * 1000) / (performance.now() - start))
  }
  const below = await fill(VISITORS_PER_TASK)
  await good.pace()
  const beyond = await fill(MORE)
  const { answered, failed, failures, longest } = await good.pace()
  const standing = guests.filter((guest) => guest !== undefined && !guest.destroyed && !guest.readableEnded).length
  await good.stop()
  tell(
    26,
    `${VISITORS_PER_TASK} idle connections at ${below} a second, then ${MORE} more at ${beyond} a second: ${refused} refused, ` +
      `${sockets.size} left, ${standing} of ${GUESTS} guests among them; good visitors: ${answered} answers, ${failed} failed, longest ${longest} ms`,
    began,
  )
  expect(task.alive).toBe(true)
  expect(lastWords(task.log)).toEqual([])
  expect([refused, failures, standing]).toEqual([0, {}, GUESTS])
  expect(answered).toBeGreaterThan(0)
  expect(sockets.size).toBeLessThanOrEqual(VISITORS_PER_TASK)
}, 600_000)
