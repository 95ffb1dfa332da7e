/** Tokens as the API shows them, and what is asked of them. The token itself is in one answer alone: that of its making. */
import * as z from 'zod/mini'
import { MOST_TOKEN_LIFE_DAYS } from '../limits.ts'
import { daySchema, patternsSchema, scopesSchema, timeSchema, usernameSchema } from './fields.ts'
import { pageOf, pageQuery } from './page.ts'

export const tokenViewSchema = z.object({
  id: z.string(),
  username: z.string(),
  label: z.string(),
  scopes: z.array(z.string()),
  /** Patterns of the names it may ask for, within those of its user. */
  subdomains: z.array(z.string()),
  status: z.enum(['active', 'expired', 'revoked']),
  createdAt: timeSchema,
  expiresAt: timeSchema,
  lastUsedDay: z.optional(daySchema),
})
export type TokenView = z.infer<typeof tokenViewSchema>

/** Shown once; the table has only the hash. */
export const newTokenSchema = z.extend(tokenViewSchema, { token: z.string() })
export type NewToken = z.infer<typeof newTokenSchema>

/** Everything may be left out: a token for oneself, to open tunnels, for the names one may have. */
export const createTokenSchema = z.strictObject({
  /** Another than one's own only for an administrator. */
  username: z.optional(usernameSchema),
  /** It is shown on terminals. */
  label: z.optional(z.string().check(z.maxLength(100), z.regex(/^\P{Cc}*$/u, 'text without control characters'))),
  scopes: z.optional(scopesSchema),
  subdomains: z.optional(patternsSchema),
  expiresInDays: z.optional(z.int().check(z.gte(1), z.lte(MOST_TOKEN_LIFE_DAYS))),
})
export type CreateToken = z.infer<typeof createTokenSchema>

export const tokensQuerySchema = z.strictObject({ ...pageQuery, username: z.optional(usernameSchema) })
export const tokensPageSchema = pageOf(tokenViewSchema)
