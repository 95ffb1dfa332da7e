/** Stands between an agent and the control plane and changes fields of its tickets, so that a test can stand on the channel's path. */
import { createServer, request as startRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import type { ChannelTicket } from '@postern/protocol/ticket'

export interface TicketRewriter {
  readonly port: number
  /** As the control plane gave them, in order. */
  readonly tickets: readonly ChannelTicket[]
  stop(): Promise<void>
}

/** Forwards every call to the base domain of `system`; of a ticket, `changes` replace what they name. */
export async function startTicketRewriter(
  system: { readonly publicPort: number; readonly base: string },
  changes: Partial<ChannelTicket>,
): Promise<TicketRewriter> {
  const tickets: ChannelTicket[] = []
  const server = createServer((call, answer) => {
    const { host: _, connection: __, ...headers } = call.headers
    const forwarded = startRequest({
      host: '127.0.0.1',
      port: system.publicPort,
      method: call.method!,
      path: call.url!,
      agent: false,
      headers: { ...headers, host: system.base },
    })
    call.pipe(forwarded)
    forwarded.on('response', async (response) => {
      const body = JSON.parse((await buffer(response)).toString())
      if ('encryptionKeyText' in body) tickets.push(body)
      const text = JSON.stringify('encryptionKeyText' in body ? { ...body, ...changes } : body)
      answer.writeHead(response.statusCode!, { 'content-type': response.headers['content-type'] }).end(text)
    })
    forwarded.on('error', () => answer.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    tickets,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
