/** Local servers that do everything wrong, through a whole tunnel: their visitor gets the documented result, and the next visitor of the tunnel its own answer. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LiveChannel } from '../../agent/src/live-channel.ts'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, type Message, readResponse, statusOf } from '../support/http-message.ts'
import type { RawConnection } from '../support/raw-connection.ts'
import { type OriginRequest, ScriptedOrigin } from '../support/scripted-origin.ts'
import { dialAgent } from './dial-agent.ts'
import { BREAKABLE, HOSTILE_ORIGINS, later, type Outcome } from './hostile-origins.ts'
import { BASE, type MemoryTask, startMemoryTask } from './memory-task.ts'

const HOST = `origins.${BASE}`

let task: MemoryTask
let origin: ScriptedOrigin
let channel: LiveChannel
let neighbour: HttpClient
beforeAll(async () => {
  task = await startMemoryTask()
  origin = await ScriptedOrigin.start()
  channel = await dialAgent(await task.desk.issue('origins', task.plane.ports.channel), origin.port)
  neighbour = await HttpClient.open(task.plane.ports.public)
})
afterAll(async () => {
  neighbour?.close()
  channel?.leave(0)
  await task?.stop()
  await origin?.stop()
})

/** Does wrong where it is asked for /hostile, and answers everybody else with the target. */
function play(act: (request: OriginRequest) => void | Promise<void>): void {
  origin.play(async (request) => {
    const target = request.head.startLine.split(' ')[1]!
    if (target === '/hostile') return act(request)
    await request.whole()
    request.connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`)
  })
}

let asked = 0
async function getsItsOwn(client: HttpClient): Promise<void> {
  // A POST is never sent twice, so nothing could hide behind a second try.
  for (const method of ['GET', 'POST']) {
    const target = `/own-${++asked}`
    const answer = await client.ask(`${method} ${target} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
    expect(answer.body.toString()).toBe(target)
  }
}

/** What the visitor got, in the terms of an outcome. */
async function outcomeOf(client: HttpClient, method: string, answered: () => Promise<void>): Promise<Outcome> {
  const { connection } = client
  let got: { interim: readonly Message[]; response: Message }
  try {
    got = await client.answer(method)
  } catch (error) {
    if (connection.ending !== 'cut') throw error
    return 'cut'
  }
  const { interim, response } = got
  const code = fieldOf(response, 'tunnel-error')
  if (code === 'origin-invalid' || code === 'origin-closed') {
    expect(statusOf(response)).toBe(502)
    return { fault: code, ...counted(interim) }
  }
  await answered()
  const next = fieldOf(response, 'connection') === 'close' || (await hasEnded(connection)) ? 'closed' : 'kept'
  if (next === 'closed') expect(await connection.over()).toBe('ended')
  else await getsItsOwn(client)
  expect(client.rest, 'bytes behind the answer').toHaveLength(0)
  const content = response.body.length === 0 ? '' : contentOf(response).toString()
  return { status: statusOf(response), content, next, ...counted(interim) }
}

const counted = (interim: readonly Message[]): { interim?: number } =>
  interim.length > 0 ? { interim: interim.length } : {}

/** An end that was under way when the answer came has come when a neighbour's answer has. */
async function hasEnded(connection: RawConnection): Promise<boolean> {
  await getsItsOwn(neighbour)
  return connection.ending !== 'open'
}

const withoutNone = (outcome: Outcome): Outcome => {
  if (outcome === 'cut' || outcome.interim !== 0) return outcome
  const { interim: _none, ...rest } = outcome
  return rest
}

test.each(HOSTILE_ORIGINS)('$title', async ({ request, act, idle, afterwards, outcome }) => {
  const client = await HttpClient.open(task.plane.ports.public)
  let acting: Promise<void> | undefined
  play(({ connection, whole }) => {
    acting = Promise.resolve(act({ origin: connection, visitor: client.connection, whole }))
    return acting
  })
  client.send(request.replace('HOST', HOST))
  const answered = async (): Promise<void> => {
    if (afterwards !== undefined) client.send(afterwards)
    if (idle !== true) return
    await acting
    await later()
  }
  expect(await outcomeOf(client, request.split(' ', 1)[0]!, answered)).toEqual(withoutNone(outcome))
  client.close()
  await getsItsOwn(neighbour)
})

describe('an answer that is broken off behind each of its bytes', () => {
  /** Read slowly and obviously, as an oracle. */
  function expected(bytes: Buffer): 'closed' | 'cut' | string {
    let at = 0
    for (;;) {
      const message = readResponse(bytes, at, { ended: true })
      if (message === undefined) return bytes.includes('\r\n\r\n', at, 'latin1') ? 'cut' : 'closed'
      if (statusOf(message) >= 200) return `whole: ${contentOf(message)}`
      at = message.end
    }
  }

  const told = (outcome: Outcome): string =>
    outcome === 'cut' ? 'cut' : 'fault' in outcome ? outcome.fault.replace('origin-', '') : `whole: ${outcome.content}`

  async function brokenOff(bytes: Buffer, by: 'end' | 'reset'): Promise<string> {
    const client = await HttpClient.open(task.plane.ports.public)
    play(({ connection }) => {
      connection.write(bytes)
      connection[by]()
    })
    client.send(`GET /hostile HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
    const outcome = await outcomeOf(client, 'GET', async () => {})
    client.close()
    return told(outcome)
  }

  test.each(BREAKABLE)('%s, by an end: what is whole is whole, all else is cut or 502', async (_how, answer) => {
    for (let length = 0; length <= answer.length; length++) {
      const bytes = Buffer.from(answer.slice(0, length))
      expect(await brokenOff(bytes, 'end'), `after ${length} bytes`).toBe(expected(bytes))
      await getsItsOwn(neighbour)
    }
  })

  test.each(BREAKABLE)('%s, by a reset: nothing short looks whole', async (how, answer) => {
    for (let length = 0; length <= answer.length; length++) {
      const bytes = Buffer.from(answer.slice(0, length))
      const allowed = ['cut', 'closed']
      // The reset may overtake what was said before it.
      if (length === answer.length && how !== 'delimited by the close') allowed.push(expected(bytes))
      expect(allowed, `after ${length} bytes`).toContain(await brokenOff(bytes, 'reset'))
      await getsItsOwn(neighbour)
    }
  })
})
