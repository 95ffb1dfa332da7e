/** Plays one conversation between a visitor and a local server, and tells what each saw but for what a proxy must change. */
import { expect } from 'vitest'
import { REQUEST_MASK, UNDATED_RESPONSE_MASK, unmasked } from './comparison.ts'
import { type Answer, HttpClient } from './http-client.ts'
import { contentOf, fieldOf, type Message } from './http-message.ts'
import { type Conversation, inPieces } from './random-conversations.ts'
import type { ScriptedOrigin } from './scripted-origin.ts'

/** What both ends have seen, in a form whose differences can be read. */
interface Conversed {
  readonly requests: readonly unknown[]
  readonly answers: readonly { readonly interim: readonly unknown[]; readonly response: unknown }[]
}

/** Plays `talk` on one connection to `port`, behind which `origin` is. */
export async function converse(
  origin: ScriptedOrigin,
  port: number,
  { requests, responses, cuts }: Conversation,
): Promise<Conversed> {
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
        interim: interim.map((message) => unmasked(message, UNDATED_RESPONSE_MASK)),
        response: unmasked(responses[index]!.closes ? unframed(response) : response, UNDATED_RESPONSE_MASK),
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
