/** One HTTP request and its whole answer. Knows nothing of the API. */
import http from 'node:http'
import https from 'node:https'
import { API_ANSWER_BYTES } from '../limits.ts'

export interface ExchangeCall {
  readonly method: string
  readonly headers: http.OutgoingHttpHeaders
  /** JSON. */
  readonly body: string | undefined
  readonly signal: AbortSignal
}

export interface Exchanged {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

/**
 * Not by `fetch`, which refuses some thirty ports that a service may well listen on; and a redirect is an answer like any
 * other here: followed, it would carry the token to wherever it leads.
 *
 * @throws what the connection died of, also if the answer is longer than any answer of the API
 */
export async function exchange(url: URL, { method, headers, body, signal }: ExchangeCall): Promise<Exchanged> {
  const content =
    body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  const client = url.protocol === 'https:' ? https : http
  const request = client.request(url, { method, headers: { ...headers, ...content }, signal })
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject).end(body)
  })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    bytes += chunk.length
    if (bytes > API_ANSWER_BYTES) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}
