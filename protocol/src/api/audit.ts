/** What was done, by whom, as the API shows it. */
import * as z from 'zod/mini'
import { daySchema, timeSchema } from './fields.ts'
import { pageOf, pageQuery } from './page.ts'

export const auditViewSchema = z.object({
  at: timeSchema,
  /** A username, or `deployer` for whoever has the table itself. */
  actor: z.string(),
  tokenId: z.optional(z.string()),
  /** The name of the operation, or `useTicket`. */
  action: z.string(),
  /** A token's id, a username or a name. */
  target: z.string(),
  ip: z.string(),
  /** `done`, or the code of the fault it was refused with. */
  result: z.string(),
  /** `node`: a node of the data plane wrote it, and not the control plane. An action `unreadable` stands for a row of a node that is none. */
  reportedBy: z.optional(z.literal('node')),
})
export type AuditView = z.infer<typeof auditViewSchema>

/** Today, unless a day is named. */
export const auditQuerySchema = z.strictObject({ ...pageQuery, day: z.optional(daySchema) })
export const auditPageSchema = pageOf(auditViewSchema)
