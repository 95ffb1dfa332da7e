/** Asks a URL once, over a connection of its own, as a visitor does: name, connection, TLS, answer. Keeps no connection. */
import { once } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import type { LookupFunction } from 'node:net'
import { CANARY_BODY_BYTES } from '@postern/protocol/limits'

/** In this order; the last one reached is where a failed visit ended. */
export type VisitStep = 'resolve' | 'connect' | 'tls' | 'answer'

export interface VisitCall {
  readonly signal: AbortSignal
  readonly reached: (step: VisitStep) => void
  /** Instead of the resolver of the system. */
  readonly lookup?: LookupFunction
}

export interface Answer {
  readonly status: number
  /** The field `tunnel-error`: the service answered by itself. */
  readonly code: string | undefined
  readonly body: string
}

/** @throws Error of the network, or the signal's reason */
export async function visit(url: URL, { signal, reached, lookup }: VisitCall): Promise<Answer> {
  reached('resolve')
  const secure = url.protocol === 'https:'
  const request = (secure ? https : http).get(url, { agent: false, signal, ...(lookup && { lookup }) })
  request.once('socket', (socket) => {
    socket.once('lookup', (error) => {
      if (!error) reached('connect')
    })
    socket.once('connect', () => reached(secure ? 'tls' : 'answer'))
    socket.once('secureConnect', () => reached('answer'))
  })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  const code = response.headers['tunnel-error']
  return { status: response.statusCode!, code: code?.toString(), body: await firstBytes(response) }
}

/** Whatever else answers may send without end: no more is read than the longest right answer. */
async function firstBytes(response: http.IncomingMessage): Promise<string> {
  let body = ''
  for await (const piece of response.setEncoding('latin1')) {
    body += piece
    if (body.length > CANARY_BODY_BYTES) break
  }
  return body
}
