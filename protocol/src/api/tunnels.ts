/** Open tunnels as the API shows them. */
import * as z from 'zod/mini'
import { timeSchema, usernameSchema } from './fields.ts'
import { pageOf, pageQuery } from './page.ts'

/** One channel; a name has several where agents share it. */
export const tunnelViewSchema = z.object({
  subdomain: z.string(),
  slot: z.number(),
  username: z.string(),
  url: z.string(),
  /** The task of the data plane that holds the channel. */
  taskId: z.string(),
  openedAt: timeSchema,
})
export type TunnelView = z.infer<typeof tunnelViewSchema>

export const tunnelsQuerySchema = z.strictObject({ ...pageQuery, username: z.optional(usernameSchema) })
export const tunnelsPageSchema = pageOf(tunnelViewSchema)
