/** What the task that holds tunnels tells the one that asks, beside the streams: one JSON object a line. Knows nothing of channels. */
import { FAULTS, type FaultCode, TunnelFault } from '@postern/protocol/fault'
import { FAULT_DETAIL_CHARACTERS } from '@postern/protocol/limits'
import * as z from 'zod/mini'
import { hopName } from '../route/hop-preamble.ts'
import type { Failure } from '../route/route.ts'

export const hopNotes = {
  /** The first note: that this process has the key which its boot id names, for this connection alone. */
  proof: z.object({ type: z.literal('proof'), signature: z.string().check(z.regex(/^[\w-]{86}$/)) }),
  /** Why a stream is about to be reset; the two leave in that order. */
  returned: z.object({
    type: z.literal('returned'),
    streamId: z.int(),
    fault: z.enum(Object.keys(FAULTS) as [FaultCode, ...FaultCode[]]),
    detail: z.optional(z.string().check(z.maxLength(FAULT_DETAIL_CHARACTERS))),
    retryAfterMs: z.optional(z.int().check(z.nonnegative())),
    unsent: z.boolean(),
    next: z.optional(z.enum(['elsewhere', 'nowhere'])),
  }),
  /** A channel serves its name no more: what is under way ends, and nothing further is to begin. */
  withdrawn: z.object({
    type: z.literal('withdrawn'),
    name: hopName,
    epoch: z.int(),
  }),
  /** What is still under way by that channel, or by all of this task, is to be ended now as at the end of a drain: the channel ends in a moment. */
  ending: z.object({
    type: z.literal('ending'),
    claim: z.optional(z.object({ name: hopName, epoch: z.int() })),
  }),
}

type ProofNote = z.output<typeof hopNotes.proof>
export type ReturnedNote = z.output<typeof hopNotes.returned>
export type WithdrawnNote = z.output<typeof hopNotes.withdrawn>
export type EndingNote = z.output<typeof hopNotes.ending>
export type HopNote = ProofNote | ReturnedNote | WithdrawnNote | EndingNote

export const returnedNote = (streamId: number, { fault, unsent, next }: Failure): ReturnedNote => ({
  type: 'returned',
  streamId,
  fault: fault.code,
  ...(fault.detail !== undefined && { detail: fault.detail }),
  ...(fault.retryAfterMs !== undefined && { retryAfterMs: Math.ceil(fault.retryAfterMs) }),
  unsent,
  ...(next !== undefined && { next }),
})

export const faultOfNote = ({ fault, detail, retryAfterMs }: ReturnedNote): TunnelFault =>
  new TunnelFault(fault, detail, { ...(retryAfterMs !== undefined && { retryAfterMs }) })
