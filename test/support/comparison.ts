/** One request made twice, directly and through the tunnel, and both sides of both compared byte for byte but for what a proxy must change. */
import { expect } from 'vitest'
import { type Answer, HttpClient } from './http-client.ts'
import { contentOf, type Message } from './http-message.ts'
import type { Script, ScriptedOrigin } from './scripted-origin.ts'

/** Fields of a request that may differ, each with its reason. */
export const REQUEST_MASK: Readonly<Record<string, string>> = {
  connection: 'belongs to one hop (RFC 9110 §7.6.1)',
  'keep-alive': 'belongs to one hop (RFC 9110 §7.6.1)',
  via: 'an intermediary names itself (RFC 9110 §7.6.3)',
  'x-forwarded-for': 'the address of the visitor is ours to tell, as ngrok, cloudflared and Caddy do',
  'x-forwarded-proto': 'the same',
  'x-forwarded-host': 'the same',
  'postern-request-id': 'one id from the visitor to the local server, ours',
}

/** Fields of a response that may differ, each with its reason. */
const RESPONSE_MASK: Readonly<Record<string, string>> = {
  connection: 'belongs to one hop (RFC 9110 §7.6.1)',
  'keep-alive': 'belongs to one hop (RFC 9110 §7.6.1)',
  'postern-request-id': 'one id from the visitor to the local server, ours',
  'server-timing': 'how long each part of the way took is ours to tell',
}

/** The same where the local server sends no Date. */
export const UNDATED_RESPONSE_MASK: Readonly<Record<string, string>> = {
  ...RESPONSE_MASK,
  date: 'a response without a Date is given one (RFC 9110 §6.6.1)',
}

interface Observed extends Answer {
  /** As the local server received it. */
  readonly request: Message
}

export interface Compared {
  readonly direct: Observed
  readonly tunnelled: Observed
}

export interface Comparison {
  readonly origin: ScriptedOrigin
  readonly publicPort: number
  /** What the visitor does, from the request to the answer. */
  readonly visit: (client: HttpClient) => Promise<Answer>
  /** What the local server does. */
  readonly script: Script
  /** The end of the connection delimits its answer, which reaches HTTP/1.1 in chunks (docs/decisions/0006-close-delimited-bodies.md). */
  readonly comesInChunks?: boolean
}

/** A visitor that sends these bytes and reads the answer. */
export const sending =
  (request: string): Comparison['visit'] =>
  async (client) => {
    client.send(request)
    return client.answer(request.split(' ', 1)[0])
  }

/** Asserts that tunnel and direct connection show the same to both ends. Answers both, for what a test wants to add. */
export async function compare(comparison: Comparison): Promise<Compared> {
  const direct = await observe(comparison, comparison.origin.port)
  const tunnelled = await observe(comparison, comparison.publicPort)
  expect(unmasked(tunnelled.request, REQUEST_MASK), 'the request').toEqual(unmasked(direct.request, REQUEST_MASK))
  expect(
    tunnelled.interim.map((message) => unmasked(message, RESPONSE_MASK)),
    'the interim responses',
  ).toEqual(direct.interim.map((message) => unmasked(message, RESPONSE_MASK)))
  const response = comparison.comesInChunks === true ? outOfChunks(tunnelled.response) : tunnelled.response
  const mask = isDated(direct.response) ? RESPONSE_MASK : UNDATED_RESPONSE_MASK
  expect(unmasked(response, mask), 'the response').toEqual(unmasked(direct.response, mask))
  return { direct, tunnelled }
}

async function observe({ origin, visit, script }: Comparison, port: number): Promise<Observed> {
  origin.play(script)
  const client = await HttpClient.open(port)
  try {
    const answer = await visit(client)
    const request = await (await origin.request()).whole()
    expect(client.rest.toString('latin1'), 'bytes behind the response').toBe('')
    return { request, ...answer }
  } finally {
    client.close()
  }
}

const isDated = ({ lines }: Message): boolean => lines.some((line) => /^date:/i.test(line))

const CHUNKED = 'Transfer-Encoding: chunked'

/** The message without the chunks that it must be in. */
function outOfChunks(message: Message): Message {
  expect(message.lines, 'how the response is framed').toContain(CHUNKED)
  return { ...message, lines: message.lines.filter((line) => line !== CHUNKED), body: contentOf(message) }
}

/** A message as text, the masked fields left out: what must be equal, in a form whose differences can be read. */
export function unmasked(message: Message, mask: Readonly<Record<string, string>>): unknown {
  return {
    startLine: message.startLine,
    lines: message.lines.map(withoutPadding).filter((line) => mask[line.split(':', 1)[0]!.toLowerCase()] === undefined),
    body: message.body.toString('latin1'),
  }
}

/** White space around a value is no part of it, and a proxy that writes heads anew need not keep it (RFC 9112 §5.1). */
const withoutPadding = (line: string): string => line.replace(/^([^:]*):[ \t]*(.*?)[ \t]*$/, '$1: $2')

/** The content without its framing, as text. */
export const textOf = (message: Message): string => contentOf(message).toString('latin1')
