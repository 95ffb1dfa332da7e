/** An event of an API Gateway HTTP API, payload 2.0, as a Request, and a Response as its answer. */
import * as z from 'zod/mini'

/** What is used of an event; API Gateway sends more. Cookies are none of ours. */
const eventSchema = z.object({
  version: z.literal('2.0'),
  rawPath: z.string(),
  rawQueryString: z.string(),
  /** Repeated fields arrive joined by commas. */
  headers: z.record(z.string(), z.string()),
  body: z.optional(z.string()),
  isBase64Encoded: z.boolean(),
  requestContext: z.object({
    domainName: z.string(),
    requestId: z.string(),
    http: z.object({
      method: z.string(),
      /** The TCP peer as API Gateway sees it; no header can change it. */
      sourceIp: z.string(),
    }),
  }),
})

export type HttpApiEvent = z.infer<typeof eventSchema>

export interface HttpApiResult {
  statusCode: number
  headers: Record<string, string>
  body: string
}

/** @throws if `event` is of another kind: the function is wired to something else. */
export const parseEvent = (event: unknown): HttpApiEvent => eventSchema.parse(event)

export function toRequest(event: HttpApiEvent): Request {
  const { domainName, http } = event.requestContext
  const query = event.rawQueryString === '' ? '' : `?${event.rawQueryString}`
  const hasBody = event.body !== undefined && http.method !== 'GET' && http.method !== 'HEAD'
  return new Request(`https://${domainName}${pathOf(event.rawPath)}${query}`, {
    method: http.method,
    headers: headersOf(event.headers),
    ...(hasBody && { body: Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8') }),
  })
}

export async function toResult(response: Response): Promise<HttpApiResult> {
  return { statusCode: response.status, headers: Object.fromEntries(response.headers), body: await response.text() }
}

/**
 * HTTP APIs hand on the path decoded, in spite of its name (function URLs and emulators as it was sent). So what would end
 * a path is encoded again, and what stands encoded is left. A path that was encoded twice is thereby decoded twice, which
 * opens nothing: what names are made of need not be encoded even once.
 */
const pathOf = (rawPath: string): string => rawPath.replace(/[?#\\\s]/g, encodeURIComponent)

/** Fields are bytes to a Request, text to an event. */
const headersOf = (headers: Record<string, string>): Headers =>
  new Headers(Object.entries(headers).map(([name, value]) => [name, Buffer.from(value).toString('latin1')]))
