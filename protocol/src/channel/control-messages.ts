/** The messages of the control stream, one schema each, both directions. Knows nothing of lines or streams. */
import * as z from 'zod/mini'
import { FAULTS, type FaultCode, TunnelFault } from '../fault.ts'
import {
  FAULT_DETAIL_CHARACTERS,
  MOST_FIRST_BYTE_MS,
  MOST_HOLD_MS,
  NOTICE_CHARACTERS,
  SLOTS_PER_NAME,
} from '../limits.ts'
import { visitorRulesSchema } from './visitor-rules.ts'

/** HTTP/1.1, or HTTP/2 in clear without an upgrade (RFC 9113 §3.3). */
export const UPSTREAM_PROTOCOLS = ['http/1.1', 'h2c'] as const
export type UpstreamProtocol = (typeof UPSTREAM_PROTOCOLS)[number]

/** What a notice may be about: an answer that was refused, a local server that has not answered yet, a cookie that was dropped. */
export const NOTICE_KINDS = ['answer-refused', 'still-waiting', 'cookie-dropped'] as const
export type NoticeKind = (typeof NOTICE_KINDS)[number]

const text = (longest: number) => z.string().check(z.minLength(1), z.maxLength(longest))
const count = z.int().check(z.nonnegative())
/** How an agent calls itself where another one hears of it: printable ASCII, since it ends up in a terminal. */
const label = z.string().check(z.regex(/^[\x20-\x7e]{1,64}$/))

/** A fault of the closed table; `detail` is for a person and `retryAfterMs` in milliseconds. */
const refused = z.object({
  type: z.literal('refused'),
  fault: z.enum(Object.keys(FAULTS) as [FaultCode, ...FaultCode[]]),
  detail: z.optional(z.string().check(z.maxLength(FAULT_DETAIL_CHARACTERS))),
  retryAfterMs: z.optional(count),
})

/** What the server says to the agent. Durations are in milliseconds from now, because the two clocks may be minutes apart. */
export const serverMessages = {
  /** The route is claimed: visitors come from now on. */
  welcome: z.object({
    type: z.literal('welcome'),
    subdomain: text(63),
    url: text(300),
    taskId: text(64),
    epoch: count,
    heartbeatMs: z.int().check(z.positive()),
  }),
  /** No channel for this agent; GOAWAY follows. */
  refused,
  /** This channel goes, in `deadlineMs` at the latest: open another one, then let this one's streams finish. */
  draining: z.object({ type: z.literal('draining'), deadlineMs: count }),
  /** Another agent has the name, `by` as it calls itself; final for this one. */
  superseded: z.object({ type: z.literal('superseded'), byInstance: text(64), by: z.optional(label) }),
  /** The right to the tunnel is gone; final. */
  revoked: z.object({ type: z.literal('revoked') }),
  /** A ceiling was met; the channel lives on. `what` is the code of the fault that visitors see. */
  limit: z.object({ type: z.literal('limit'), what: text(64) }),
  /** For the person at the agent. `about` is one of NOTICE_KINDS, or of a later version's: then nothing is shown. */
  notice: z.object({ type: z.literal('notice'), about: text(64), detail: text(NOTICE_CHARACTERS) }),
}

/** What the agent says to the server. */
export const agentMessages = {
  /** The first message, and only once. */
  hello: z.object({
    type: z.literal('hello'),
    version: text(64),
    instanceId: text(64),
    /** Which of this agent's own channels it is: a newer one of the same agent with the same number takes its place. */
    slot: z.int().check(z.nonnegative(), z.lt(SLOTS_PER_NAME)),
    /** Whether other agents that say so too may serve the name beside this one. */
    pool: z.boolean(),
    label: z.optional(label),
    rules: visitorRulesSchema,
    /** How long requests wait for this agent while it is away; 0: not at all. The server decides where it is missing. */
    holdMs: z.optional(count.check(z.maximum(MOST_HOLD_MS))),
    /** How long a request waits for the first byte of its answer; 0: without limit. The server decides where it is missing. */
    firstByteMs: z.optional(count.check(z.maximum(MOST_FIRST_BYTE_MS))),
    /** What the local server speaks on each stream; HTTP/1.1 where it is missing. */
    upstreamProtocol: z.optional(z.enum(UPSTREAM_PROTOCOLS)),
  }),
  /** Why the stream is reset just after this; `unsent`: no byte of its last request has reached the local server. */
  'stream-fault': z.object({
    type: z.literal('stream-fault'),
    streamId: z.int().check(z.positive(), z.maximum(0xffff_ffff)),
    fault: z.enum(['origin-refused', 'origin-timeout', 'origin-unreachable', 'origin-closed']),
    unsent: z.boolean(),
  }),
  /** No new streams on this channel, please. `moved`: another channel of the agent has taken its place already; otherwise it stops. */
  leaving: z.object({ type: z.literal('leaving'), moved: z.optional(z.boolean()) }),
}

type AnyOf<T extends Record<string, z.ZodMiniType>> = { [K in keyof T]: z.output<T[K]> }[keyof T]

export type ServerMessage = AnyOf<typeof serverMessages>
export type AgentMessage = AnyOf<typeof agentMessages>
export type Hello = z.output<typeof agentMessages.hello>
export type StreamFaultMessage = z.output<(typeof agentMessages)['stream-fault']>
export type Welcome = z.output<typeof serverMessages.welcome>
export type Refused = z.output<typeof refused>

/** The schemas of one direction, by type. */
export type MessageSchemas<M> = Readonly<Record<string, z.ZodMiniType<M>>>

/** A fault as the message that tells it. */
export const refusedBy = (fault: TunnelFault): Refused => ({
  type: 'refused',
  fault: fault.code,
  ...(fault.detail !== undefined && { detail: fault.detail }),
  ...(fault.retryAfterMs !== undefined && { retryAfterMs: Math.ceil(fault.retryAfterMs) }),
})

/** The fault that a `refused` tells. */
export const faultOf = (message: Refused): TunnelFault =>
  new TunnelFault(message.fault, message.detail, {
    ...(message.retryAfterMs !== undefined && { retryAfterMs: message.retryAfterMs }),
  })

export type ReadMessage<M> =
  | { readonly fault: TunnelFault }
  /** Without `message`: of a type that is not known here, which is no fault. */
  | { readonly fault?: undefined; readonly message: M | undefined }

/** Judges one line. `hello-invalid` for a `hello` that does not fit, `protocol-violation` for everything else. */
export function readMessage<M>(line: Buffer, schemas: MessageSchemas<M>): ReadMessage<M> {
  const said = parseObject(line)
  const type = said?.type
  if (typeof type !== 'string') return { fault: new TunnelFault('protocol-violation', 'A control line is no message.') }
  if (!Object.hasOwn(schemas, type)) return { message: undefined }
  const judged = schemas[type]!.safeParse(said)
  if (judged.success) return { message: judged.data }
  const code = type === 'hello' ? 'hello-invalid' : 'protocol-violation'
  return { fault: new TunnelFault(code, `${type}: ${describe(judged.error.issues)}.`) }
}

function parseObject(line: Buffer): { type?: unknown } | undefined {
  try {
    const said: unknown = JSON.parse(line.toString('utf8'))
    return typeof said === 'object' && said !== null ? said : undefined
  } catch {
    // Not JSON: no message, which the caller answers.
    return undefined
  }
}

/** What is wrong, without what was sent: `custom` are our own sentences. */
function complaint(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') return `unknown ${issue.keys.join(', ')}`
  return issue.code === 'custom' ? issue.message : issue.code.replaceAll('_', ' ')
}

/** The first complaint, in printable ASCII: what the peer wrote is only quoted as far as it is harmless. */
function describe(issues: readonly z.core.$ZodIssue[]): string {
  const issue = issues[0]
  if (issue === undefined) return 'does not fit'
  const what = complaint(issue)
  return [...issue.path, what]
    .join(' ')
    .replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, 200)
}
