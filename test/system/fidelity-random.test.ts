import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { REQUEST_MASK, RESPONSE_MASK, unmasked } from '../support/comparison.ts'
import { type Answer, HttpClient } from '../support/http-client.ts'
import { contentOf, fieldOf, type Message } from '../support/http-message.ts'
import { type Conversation, conversations, inPieces } from '../support/random-conversations.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'

const RUNS = process.env.POSTERN_FULL === '1' ? 5000 : 150

let system: System
let origin: ScriptedOrigin
let host: string

beforeAll(async () => {
  system = await startSystem()
  origin = await ScriptedOrigin.start()
  host = (await system.startAgent({ subdomain: 'random', target: origin.port })).host
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
})

async function converse(port: number, { requests, responses, cuts }: Conversation) {
  origin.play(async ({ head, connection, whole }) => {
    await whole()
    const { pieces, closes } = responses[Number(fieldOf(head, 'x-index'))]!
    for (const piece of pieces) {
      connection.write(piece)
      await turn()
    }
    if (closes) connection.end()
  })
  const client = await HttpClient.open(port)
  try {
    const sending = (async () => {
      for (const piece of inPieces(requests.map(({ bytes }) => bytes).join(''), cuts)) {
        client.send(piece)
        await turn()
      }
    })()
    const answers: Answer[] = []
    for (const { method } of requests) answers.push(await client.answer(method))
    await sending
    expect(client.rest.toString('latin1')).toBe('')
    const received: Message[] = []
    for (const seen of origin.requests) received.push(await seen.whole())
    return {
      requests: received.map((message) => unmasked(message, REQUEST_MASK)),
      answers: answers.map(({ interim, response }, index) => ({
        interim: interim.map((message) => unmasked(message, RESPONSE_MASK)),
        response: unmasked(responses[index]!.closes ? unframed(response) : response, RESPONSE_MASK),
      })),
    }
  } finally {
    client.close()
  }
}

/** What only the close delimits comes in chunks through the tunnel: the content is what must be equal. */
const unframed = (response: Message): Message => ({
  ...response,
  lines: response.lines.filter((line) => !/^transfer-encoding:/i.test(line)),
  body: contentOf(response),
})

/** One turn of the event loop, so that the next piece is a write of its own. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test(`${RUNS} random conversations, pipelined and cut anywhere, are the same through the tunnel as directly`, {
  timeout: 600_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(
      conversations(() => host),
      async (talk) => {
        const direct = await converse(origin.port, talk)
        expect(await converse(system.publicPort, talk)).toEqual(direct)
      },
    ),
    { numRuns: RUNS },
  )
})
