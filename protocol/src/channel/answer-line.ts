/** The server's answer to an id: one line of JSON in clear. Knows nothing of sockets; proves nothing, being authenticated by nobody. */
import * as z from 'zod/mini'
import { TunnelFault } from '../fault.ts'
import { ANSWER_LINE_BYTES, BUSY_RETRY_MS } from '../limits.ts'
import { IpNotAllowedFault } from './ip-not-allowed.ts'
import type { Taken } from './opening-socket.ts'

/** Nobody on the path may put an agent to sleep for longer than this, in milliseconds. */
const LONGEST_RETRY_MS = 60_000

const answer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), taskId: z.string().check(z.minLength(1), z.maxLength(64)) }),
  z.object({
    ok: z.literal(false),
    fault: z.enum(['ticket-refused', 'ip-not-allowed', 'server-draining', 'server-busy']),
    seenIp: z.optional(z.string().check(z.maxLength(64))),
    observation: z.optional(z.string()),
    retryAfterMs: z.optional(z.int().check(z.nonnegative())),
  }),
])

/** The line of a server that accepts the id, for the time being. */
export const acceptLine = (taskId: string): string => `${JSON.stringify({ ok: true, taskId })}\n`

/** The line of a refusal; undefined if this fault is none that may be told in clear. */
export function refusalLine(fault: TunnelFault): string | undefined {
  switch (fault.code) {
    case 'ticket-refused':
    case 'server-draining':
      return line({ fault: fault.code })
    case 'server-busy':
      return line({ fault: fault.code, retryAfterMs: fault.retryAfterMs ?? BUSY_RETRY_MS })
    case 'ip-not-allowed':
      if (!(fault instanceof IpNotAllowedFault)) return undefined
      return line({ fault: fault.code, seenIp: fault.seenIp, observation: fault.observation })
    default:
      return undefined
  }
}

const line = (refusal: Record<string, unknown>): string => `${JSON.stringify({ ok: false, ...refusal })}\n`

/** Takes the answer line off what came: the task that accepted. Throws the refusal, or `opening-malformed`. */
export function takeAnswer(pending: Buffer): Taken<string> | undefined {
  const end = pending.indexOf(0x0a)
  if (end < 0 && pending.length < ANSWER_LINE_BYTES) return undefined
  if (end < 0 || end >= ANSWER_LINE_BYTES)
    throw new TunnelFault('opening-malformed', `The answer line is longer than ${ANSWER_LINE_BYTES} bytes.`)
  return { bytes: end + 1, value: readAnswer(pending.toString('utf8', 0, end)) }
}

function readAnswer(text: string): string {
  const told = parse(text)
  if (told.ok) return told.taskId
  if (told.fault === 'ip-not-allowed') {
    if (told.seenIp === undefined || told.observation === undefined)
      throw new TunnelFault('opening-malformed', 'The answer line names no address.')
    throw new IpNotAllowedFault(told.seenIp, told.observation)
  }
  const { retryAfterMs } = told
  throw new TunnelFault(told.fault, undefined, {
    ...(retryAfterMs !== undefined && { retryAfterMs: Math.min(retryAfterMs, LONGEST_RETRY_MS) }),
  })
}

function parse(text: string): z.output<typeof answer> {
  try {
    return answer.parse(JSON.parse(text))
  } catch (error) {
    throw new TunnelFault('opening-malformed', 'The answer line is not one.', { cause: error })
  }
}
