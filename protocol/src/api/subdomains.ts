/** Reserved names as the API shows them, and what is asked of them. */
import * as z from 'zod/mini'
import { timeSchema, usernameSchema } from './fields.ts'
import { pageOf, pageQuery } from './page.ts'

export const subdomainViewSchema = z.object({
  name: z.string(),
  username: z.string(),
  /** A random name, which goes by itself when it is not used. */
  ephemeral: z.boolean(),
  createdAt: timeSchema,
  /** Until when a random or released name is kept for its owner. */
  heldUntil: z.optional(timeSchema),
  /** Given back: nobody else gets it before `heldUntil`, and it is not counted. */
  released: z.boolean(),
})
export type SubdomainView = z.infer<typeof subdomainViewSchema>

/** For oneself, or, by an administrator, for somebody else. */
export const reserveSubdomainSchema = z.strictObject({ username: z.optional(usernameSchema) })

export const subdomainsQuerySchema = z.strictObject({ ...pageQuery, username: z.optional(usernameSchema) })
export const subdomainsPageSchema = pageOf(subdomainViewSchema)
