/** What tests do to a running system by HTTP/2 with prior knowledge: visit it, ask it, read the answer. Knows nothing of how it was started. */
import { once } from 'node:events'
import http2, {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { connect } from 'node:net'
import type { System } from './start-system.ts'

export interface Http2Answer {
  readonly status: number
  readonly fields: IncomingHttpHeaders
  readonly body: string
}

/** A visitor's connection, from this address of the machine. */
export function visitByHttp2(system: System, localAddress = '127.0.0.1'): ClientHttp2Session {
  const target = { host: '127.0.0.1', port: system.publicPort, localAddress }
  const session = http2.connect(`http://${target.host}:${target.port}`, { createConnection: () => connect(target) })
  session.on('error', () => {})
  return session
}

/** The answer to the request of that stream, whole. */
export async function answerOf(stream: ClientHttp2Stream): Promise<Http2Answer> {
  const [fields] = (await once(stream, 'response')) as [IncomingHttpHeaders]
  let body = ''
  for await (const chunk of stream) body += chunk
  return { status: Number(fields[':status']), fields, body }
}

export function askByHttp2(
  session: ClientHttp2Session,
  fields: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Http2Answer> {
  const stream = session.request(fields, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return answerOf(stream)
}
