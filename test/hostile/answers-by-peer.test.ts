/** What a local server answers reaches a visitor that came to another node: also early, refused and slow answers, and the agent's person hears of them. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LiveChannel, Notice } from '../../agent/src/live-channel.ts'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, statusOf } from '../support/http-message.ts'
import { type Script, ScriptedOrigin } from '../support/scripted-origin.ts'
import { dialAgent } from './dial-agent.ts'
import { BASE, type MemoryTask, startMemoryTasks } from './memory-task.ts'

const TIMES = 20
/** Of a limit that is the tunnel's: the usual one is a minute. */
const FIRST_BYTE_MS = 300

let holder: MemoryTask
let entry: MemoryTask
let origin: ScriptedOrigin
beforeAll(async () => {
  ;[holder, entry] = (await startMemoryTasks(2)) as [MemoryTask, MemoryTask]
  origin = await ScriptedOrigin.start()
})
afterAll(async () => {
  await Promise.all([holder?.stop(0), entry?.stop(0)])
  await origin?.stop()
})

describe.each([
  ['without rules', 'open', {}],
  ['with rules', 'ruled', { allow: ['127.0.0.0/8'] }],
])('a tunnel %s', (_title, name, rules) => {
  const host = `${name}.${BASE}`
  const notices: Notice[] = []
  let agent: LiveChannel
  beforeAll(async () => {
    const ticket = await holder.desk.issue(name, holder.plane.ports.channel, name)
    agent = await dialAgent(ticket, origin.port, rules, { notice: (notice) => notices.push(notice) })
  })
  afterAll(() => agent?.leave(0))

  async function ask(script: Script, request: string, body?: Buffer) {
    origin.play(script)
    const client = await HttpClient.open(entry.plane.ports.public)
    client.send(request.replace('HOST', host))
    if (body !== undefined) client.send(body)
    try {
      return (await client.answer(request.split(' ', 1)[0])).response
    } finally {
      client.close()
    }
  }

  test(`an answer before the end of the upload and a reset: it arrives in ${TIMES} of ${TIMES}`, async () => {
    const script: Script = ({ connection }) =>
      void connection.socket.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno', () => connection.reset())
    const got: string[] = []
    for (let time = 0; time < TIMES; time++) {
      const answer = await ask(
        script,
        'POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2000000\r\n\r\n',
        Buffer.alloc(1_000_000),
      )
      got.push(`${statusOf(answer)} ${contentOf(answer)}`)
    }
    expect(got).toEqual(got.map(() => '403 no'))
  })

  test('a refused answer and a dropped cookie are reported at the agent', async () => {
    const get = 'GET /x?secret HTTP/1.1\r\nHost: HOST\r\n\r\n'
    const refused = await ask(({ connection }) => connection.write('HTTP/1.1 200 OK\r\nA B: 1\r\n\r\n'), get)
    expect(fieldOf(refused, 'tunnel-error')).toBe('origin-invalid')
    const cookie = `HTTP/1.1 200 OK\r\nSet-Cookie: wide=1; Domain=${BASE}\r\nContent-Length: 0\r\n\r\n`
    await ask(({ connection }) => connection.write(cookie), get)
    await expect.poll(() => notices.length).toBe(2)
    expect(notices[0]).toMatchObject({
      about: 'answer-refused',
      detail: expect.stringMatching(/^GET \/x: field-name-space: .*RFC 9112 §5\.1.*line 2/),
    })
    expect(notices[1]).toEqual({ about: 'cookie-dropped', detail: 'wide' })
  })
})

test('the limit for the first byte is the tunnel’s also for visitors of another node', async () => {
  const ticket = await holder.desk.issue('hurried', holder.plane.ports.channel, 'hurried')
  const agent = await dialAgent(ticket, origin.port, {}, { firstByteMs: FIRST_BYTE_MS })
  origin.play(() => new Promise(() => {}))
  const client = await HttpClient.open(entry.plane.ports.public)
  const answer = await client.ask(`GET / HTTP/1.1\r\nHost: hurried.${BASE}\r\n\r\n`)
  expect([statusOf(answer), fieldOf(answer, 'tunnel-error')]).toEqual([504, 'origin-timeout'])
  client.close()
  agent.leave(0)
})
