/** The query of a request as what it must be. */
import { describeIssues } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import type { Context } from 'hono'
import * as z from 'zod/mini'

const NOTHING = z.strictObject({})

/** Calls without a schema take no parameter. @throws TunnelFault `request-malformed`; it never repeats what was sent */
export function readQuery(c: Context, schema: z.ZodMiniType = NOTHING): unknown {
  const sent = new URL(c.req.url).searchParams
  const parameters = Object.fromEntries(sent)
  if (sent.size > Object.keys(parameters).length) {
    throw new TunnelFault('request-malformed', 'A parameter of the query stands there more than once.')
  }
  const query = schema.safeParse(parameters)
  if (!query.success) throw new TunnelFault('request-malformed', `In the query: ${describeIssues(query.error.issues)}`)
  return query.data
}
