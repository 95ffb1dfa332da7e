/** A local server that breaks off in the middle of a response, by a reset: the visitor must not take it for whole. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { visitUntilClosed } from './closing-visit.ts'
import { dialAgent } from './dial-agent.ts'
import { inParallel } from './experiment.ts'
import { BASE, type MemoryTask, startMemoryTask } from './memory-task.ts'

const RESETS = size(200, 2000)
/** Delimited by the end of the connection, so that nothing but the way it ends tells that half of it is missing. */
const HALF = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nthe first half, '

let task: MemoryTask
let origin: Server
beforeAll(async () => {
  task = await startMemoryTask()
  origin = createServer((socket) => {
    socket.on('data', () => {
      socket.write(HALF)
      // At once: the reset arrives together with the data.
      socket.resetAndDestroy()
    })
  })
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
})
afterAll(async () => {
  await task.stop()
  origin.close()
})

test('a response that the local server cuts by a reset never ends as if it were complete', async () => {
  const { port: originPort } = origin.address() as AddressInfo
  const ticket = await task.desk.issue('reset', task.plane.ports.channel)
  const channel = await dialAgent(ticket, originPort)
  const taken = { 'HTTP/1.0': 0, 'HTTP/1.1': 0 }
  await inParallel(RESETS, 8, async (index) => {
    const version = index % 2 === 0 ? 'HTTP/1.0' : 'HTTP/1.1'
    let text = ''
    const ending = await visitUntilClosed({
      port: task.plane.ports.public,
      ask: (socket) => socket.write(`GET / ${version}\r\nHost: reset.${BASE}\r\nConnection: close\r\n\r\n`),
      heard: (chunk) => {
        text += chunk.toString('latin1')
      },
    })
    // Where the reset overtook the data the visitor is told by an answer of the tunnel's own.
    if (text.includes('tunnel-error: origin-closed')) return
    // To HTTP/1.1 the response comes in chunks, and the last one says that it is whole, however the connection ends.
    if (version === 'HTTP/1.1' ? text.endsWith('0\r\n\r\n') : ending === 'FIN') taken[version] += 1
  })
  expect(taken).toEqual({ 'HTTP/1.0': 0, 'HTTP/1.1': 0 })
  channel.leave(0)
})
