/** What node:http's client makes of some bytes: its parser in process, over a stream that is no socket. */
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { Duplex } from 'node:stream'
import type { MessageSeen } from './message-seen.ts'
import type { OracleRun } from './request-oracle.ts'

/** The final response to a request of `method`, and the interim ones before it; `ended`: the connection ends after the bytes. */
export async function readByNode(bytes: Buffer, method: string, upgrade: boolean): Promise<OracleRun> {
  const messages: MessageSeen[] = []
  let refusal: string | undefined
  const stream = new Duplex({ read: () => undefined, write: (_chunk, _encoding, callback) => callback() })
  stream.on('error', () => undefined)
  const headers = upgrade ? { connection: 'upgrade', upgrade: 'x' } : {}
  const call: ClientRequest = request({
    method,
    headers,
    createConnection: () => stream,
    maxHeaderSize: 64 * 1024,
    insecureHTTPParser: false,
  })
  call.maxHeadersCount = 0
  call.on('error', (error: NodeJS.ErrnoException) => {
    refusal ??= error.code ?? error.message
  })
  call.on('information', (info) => {
    messages.push(interim(info.httpVersion, info.statusCode, info.statusMessage, info.rawHeaders))
  })
  call.on('upgrade', (response: IncomingMessage) => {
    messages.push({ ...seen(response), complete: true })
  })
  call.on('response', (response: IncomingMessage) => {
    const message = seen(response)
    messages.push(message)
    response.push = (chunk: Buffer | null) => {
      if (chunk === null) message.complete = response.complete
      else message.bodyBytes += chunk.length
      return true
    }
  })
  call.end()
  // Node attaches its parser to the stream on the next tick.
  await new Promise<void>((resolve) => process.nextTick(() => process.nextTick(resolve)))
  stream.emit('data', bytes)
  // 'end' makes node complete what ends by closing; without it nothing would tell that from a body that goes on.
  stream.emit('end')
  stream.destroy()
  await new Promise<void>((resolve) => setImmediate(resolve))
  return { messages, refusal }
}

function seen(response: IncomingMessage): MessageSeen {
  return {
    start: `${response.httpVersion} ${response.statusCode} ${response.statusMessage}`,
    fields: response.rawHeaders,
    keepAlive: true,
    bodyBytes: 0,
    complete: false,
  }
}

function interim(version: string, status: number, reason: string, fields: string[]): MessageSeen {
  return { start: `${version} ${status} ${reason}`, fields, keepAlive: true, bodyBytes: 0, complete: true }
}
