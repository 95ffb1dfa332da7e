/** What an agent sends to get a ticket (step 1 of the protocol). */
import * as z from 'zod/mini'
import { usernameSchema } from './fields.ts'

/** `subdomain` is only text here: `parseSubdomain` judges it, and says which rule it breaks. */
export const ticketRequestSchema = z.strictObject({
  username: usernameSchema,
  subdomain: z.string().check(z.maxLength(253)),
  /** The name was drawn by the agent and may go when it is not used for a day. */
  ephemeral: z.optional(z.boolean()),
  /** From the refusal of the channel server, unchanged. */
  observation: z.optional(z.string().check(z.maxLength(1024))),
})

export type TicketRequest = z.infer<typeof ticketRequestSchema>
