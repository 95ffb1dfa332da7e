/** The JSON body of a request as what it must be. Judges size and type before it reads. */
import { describeIssues } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { API_BODY_BYTES } from '@postern/protocol/limits'
import type { Context } from 'hono'
import type * as z from 'zod/mini'

/**
 * No body at all, of no declared type, is an empty object: who has nothing to say need not say `{}`.
 * @throws TunnelFault `content-type-unsupported`, `body-too-large` or `request-malformed`; none repeats what was sent.
 */
export async function readBody<T>(c: Context, schema: z.ZodMiniType<T>): Promise<T> {
  const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== undefined && type !== 'application/json') throw new TunnelFault('content-type-unsupported')
  if ((c.req.header('content-encoding') ?? 'identity').toLowerCase() !== 'identity') {
    throw new TunnelFault('content-type-unsupported', 'No content-encoding is taken.')
  }
  if (Number(c.req.header('content-length') ?? 0) > API_BODY_BYTES) throw tooLarge()
  const bytes = await readAll(c.req.raw.body)
  if (type === undefined && bytes.length > 0) throw new TunnelFault('content-type-unsupported')
  const body = schema.safeParse(type === undefined ? {} : parseJson(bytes))
  if (!body.success) throw new TunnelFault('request-malformed', describeIssues(body.error.issues))
  return body.data
}

async function readAll(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of stream ?? []) {
      length += chunk.length
      if (length > API_BODY_BYTES) throw tooLarge()
      chunks.push(chunk)
    }
  } catch (cause) {
    if (cause instanceof TunnelFault) throw cause
    throw new TunnelFault('request-malformed', 'The body broke off.', { cause })
  }
  return Buffer.concat(chunks)
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    // The words of the parser quote the body.
    throw new TunnelFault('request-malformed', 'The body is not JSON in UTF-8.')
  }
}

const tooLarge = (): TunnelFault => new TunnelFault('body-too-large', `At most ${API_BODY_BYTES} bytes.`)
