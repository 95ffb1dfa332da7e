/** The answer of `GET /v1/me`: what a token may do. */
import * as z from 'zod/mini'
import { usernameSchema } from './fields.ts'

export const accountSchema = z.object({
  username: usernameSchema,
  scopes: z.array(z.string()),
  /** Patterns of the names the token may ask for. */
  subdomains: z.array(z.string()),
  /** ISO 8601, UTC. */
  expiresAt: z.iso.datetime(),
})

export type Account = z.infer<typeof accountSchema>
