/** What tests do to a running system from outside: visit it, ask it once, ask for a ticket, look at its health. Knows nothing of how it was started. */
import { type ChannelTicket, channelTicketSchema } from '@postern/protocol/ticket'
import { askOnce, HttpClient } from './http-client.ts'
import { contentOf, type Message, statusOf } from './http-message.ts'
import { readMetrics } from './metric-page.ts'
import { PATIENCE_MS } from './raw-connection.ts'
import type { System } from './start-system.ts'

/** A visitor's connection, from this address of the machine. */
export const visit = (system: System, localAddress = '127.0.0.1'): Promise<HttpClient> =>
  HttpClient.open({ host: '127.0.0.1', port: system.ports.public, localAddress })

/** One request on a connection of its own. */
export const ask = (system: System, request: string, localAddress = '127.0.0.1'): Promise<Message> =>
  askOnce({ host: '127.0.0.1', port: system.ports.public, localAddress }, request)

export const askOps = (system: System, path: string): Promise<Message> =>
  askOnce(system.ports.ops, `GET ${path} HTTP/1.1\r\nHost: ops\r\nConnection: close\r\n\r\n`)

/** The value of each series of the data plane's metrics page. */
export const metricsOf = (system: System): Promise<Map<string, number>> => readMetrics(system.ports.ops)

/** Requests that its data plane has held so far, those that wait among them. */
export const heldSoFar = async (system: System): Promise<number> =>
  (await metricsOf(system)).get('postern_requests_held_total')!

/** Step 1 as it stands in the founding document. */
export function ticketRequest(base: string, authorization: string, body: unknown): string {
  const text = JSON.stringify(body)
  return (
    `POST / HTTP/1.1\r\nHost: ${base}\r\nAuthorization: ${authorization}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
  )
}

/** A ticket of the user `tester`, asked for at the base domain through the data plane. */
export async function newTicket(system: System, subdomain: string): Promise<ChannelTicket> {
  const username = 'tester'
  const token = (await system.token(username)).reveal()
  const answer = await ask(system, ticketRequest(system.base, `Bearer ${token}`, { username, subdomain }))
  const text = contentOf(answer).toString()
  if (statusOf(answer) !== 200) throw new Error(`no ticket: ${statusOf(answer)} ${text}`)
  return channelTicketSchema.parse(JSON.parse(text))
}

/** Resolves when `look` has answered true; asks again every 20 ms, because some things tell nobody when they happen. */
export async function eventually(what: string, look: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (!(await look())) {
    if (performance.now() > deadline) throw new Error(`${PATIENCE_MS} ms passed without: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
