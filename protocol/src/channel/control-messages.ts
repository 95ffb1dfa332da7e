/** The messages of the control stream, one schema each, both directions. Knows nothing of lines or streams. */
import * as z from 'zod/mini'
import { FAULTS, type FaultCode } from '../fault.ts'
import { SLOTS_PER_NAME } from '../limits.ts'

const text = (longest: number) => z.string().check(z.minLength(1), z.maxLength(longest))
const count = z.int().check(z.nonnegative())

/** A fault of the closed table; `detail` is for a person and `retryAfterMs` in milliseconds. */
const refused = z.object({
  type: z.literal('refused'),
  fault: z.enum(Object.keys(FAULTS) as [FaultCode, ...FaultCode[]]),
  detail: z.optional(z.string().check(z.maxLength(1024))),
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
  /** The task stops in `deadlineMs`: open another channel, let this one's streams finish. */
  draining: z.object({ type: z.literal('draining'), deadlineMs: count }),
  /** Another agent has the name; final for this one. */
  superseded: z.object({ type: z.literal('superseded'), byInstance: text(64) }),
  /** The right to the tunnel is gone; final. */
  revoked: z.object({ type: z.literal('revoked') }),
  /** A ceiling was met; the channel lives on. `what` is the code of the fault that visitors see. */
  limit: z.object({ type: z.literal('limit'), what: text(64) }),
}

/** Visitor rules. None exists yet, and an unknown one refuses: a rule that is not enforced must not look accepted. */
export const visitorRules = z.strictObject({})

/** What the agent says to the server. */
export const agentMessages = {
  /** The first message, and only once. */
  hello: z.object({
    type: z.literal('hello'),
    version: text(64),
    instanceId: text(64),
    slot: z.int().check(z.nonnegative(), z.lt(SLOTS_PER_NAME)),
    pool: z.boolean(),
    rules: visitorRules,
  }),
  /** Why the stream is reset just after this; `unsent`: no byte of its last request has reached the local server. */
  'stream-fault': z.object({
    type: z.literal('stream-fault'),
    streamId: z.int().check(z.positive(), z.maximum(0xffff_ffff)),
    fault: z.enum(['origin-refused', 'origin-timeout', 'origin-unreachable', 'origin-closed']),
    unsent: z.boolean(),
  }),
  /** The agent stops: no new streams for it, please. */
  leaving: z.object({ type: z.literal('leaving') }),
}

type AnyOf<T extends Record<string, z.ZodMiniType>> = { [K in keyof T]: z.output<T[K]> }[keyof T]

export type ServerMessage = AnyOf<typeof serverMessages>
export type AgentMessage = AnyOf<typeof agentMessages>
export type VisitorRules = z.output<typeof visitorRules>
export type Hello = z.output<typeof agentMessages.hello>
export type StreamFaultMessage = z.output<(typeof agentMessages)['stream-fault']>
export type Welcome = z.output<typeof serverMessages.welcome>
export type Refused = z.output<typeof refused>
