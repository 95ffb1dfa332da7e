/** A slow reader of a response that comes in very many small messages. */
import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { dialAgent } from './dial-agent.ts'
import { BASE, startMemoryTask } from './memory-task.ts'

/** In chunks of their own; together within a window of the multiplexer, beyond one of the visitor. */
const MESSAGES = Array.from({ length: 12_000 }, (_, at) => `${at}\n`.padStart(12, '.'))

test('a visitor by HTTP/2 that begins to read late gets every one of 12,000 small messages', async () => {
  const local = createServer(async (_request, response) => {
    response.socket!.setNoDelay(true)
    for (const message of MESSAGES) {
      response.write(message)
      await setImmediate()
    }
    response.end()
  }).listen(0, '127.0.0.1')
  await once(local, 'listening')
  const task = await startMemoryTask()
  onTestFinished(async () => {
    await task.stop()
    local.close()
  })
  const ticket = await task.desk.issue('demo', task.plane.ports.channel)
  await dialAgent(ticket, (local.address() as AddressInfo).port)
  const session = connect(`http://127.0.0.1:${task.plane.ports.public}`)
  onTestFinished(() => session.destroy())
  session.on('error', () => {})
  const stream = session.request({ ':authority': `demo.${BASE}` })
  const [, response] = (await once(local, 'request')) as [unknown, ServerResponse]
  await Promise.race([once(response, 'finish'), once(stream, 'close')])
  let text = ''
  for await (const chunk of stream.setEncoding('latin1')) text += chunk
  expect(text === MESSAGES.join('')).toBe(true)
}, 60_000)
