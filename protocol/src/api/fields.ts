/** Fields that several calls have. */
import * as z from 'zod/mini'
import { isSubdomainPattern } from '../address/subdomain-pattern.ts'
import { MOST_PATTERNS } from '../limits.ts'
import { SCOPES } from './scope.ts'

/** Names of accounts: they stand in keys of the table and in audit lines, so nothing that could end either. */
export const usernameSchema = z
  .string()
  .check(
    z.minLength(1),
    z.maxLength(64),
    z.regex(/^[A-Za-z0-9][A-Za-z0-9._@-]*$/, 'a letter or digit, then letters, digits and . _ @ -'),
  )

/** Patterns of names, in which `*` stands for any run of characters. An empty list allows no name. */
export const patternsSchema = z
  .array(z.string().check(z.maxLength(63), z.refine(isSubdomainPattern, 'a name, or one with * in it')))
  .check(z.maxLength(MOST_PATTERNS))

export const scopesSchema = z.array(z.enum(SCOPES)).check(z.minLength(1))

/** ISO 8601, UTC. */
export const timeSchema = z.iso.datetime()

/** yyyy-mm-dd, UTC. */
export const daySchema = z.iso.date('a day as yyyy-mm-dd')

export const wholeNumber = (most: number) => z.int().check(z.gte(0), z.lte(most))
