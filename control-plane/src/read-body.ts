/** The JSON body of a request as what it must be. Judges size and type before it reads. */
import { describeIssues } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { API_BODY_BYTES } from '@postern/protocol/limits'
import type { Context } from 'hono'
import type * as z from 'zod/mini'

/** @throws TunnelFault `content-type-unsupported`, `body-too-large` or `request-malformed`; none repeats what was sent. */
export async function readBody<T>(c: Context, schema: z.ZodMiniType<T>): Promise<T> {
  const [type = ''] = (c.req.header('content-type') ?? '').split(';')
  if (type.trim().toLowerCase() !== 'application/json') throw new TunnelFault('content-type-unsupported')
  if (Number(c.req.header('content-length') ?? 0) > API_BODY_BYTES) throw tooLarge()
  const body = schema.safeParse(parseJson(await readAll(c.req.raw.body)))
  if (!body.success) throw new TunnelFault('request-malformed', describeIssues(body.error.issues))
  return body.data
}

async function readAll(stream: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of stream ?? []) {
    length += chunk.length
    if (length > API_BODY_BYTES) throw tooLarge()
    chunks.push(chunk)
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
