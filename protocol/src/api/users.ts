/** Accounts as the API shows them, and what is asked of them. */
import * as z from 'zod/mini'
import { MOST_SUBDOMAINS, MOST_TUNNELS } from '../limits.ts'
import { patternsSchema, timeSchema, usernameSchema, wholeNumber } from './fields.ts'
import { pageOf, pageQuery } from './page.ts'

export const userViewSchema = z.object({
  username: z.string(),
  /** Patterns of the names that its tokens may ask for, whatever the tokens say. */
  subdomains: z.array(z.string()),
  /** Names it may hold, and open tunnels it may have: counted by names, not by channels. */
  maxSubdomains: z.number(),
  maxTunnels: z.number(),
  /** Names it holds now. */
  heldSubdomains: z.number(),
  disabled: z.boolean(),
  createdAt: timeSchema,
})
export type UserView = z.infer<typeof userViewSchema>

const settings = {
  subdomains: z.optional(patternsSchema),
  maxSubdomains: z.optional(wholeNumber(MOST_SUBDOMAINS)),
  maxTunnels: z.optional(wholeNumber(MOST_TUNNELS)),
}

export const createUserSchema = z.strictObject({ username: usernameSchema, ...settings })
export type CreateUser = z.infer<typeof createUserSchema>

/** What is left out stays as it is. Disabling cuts the tunnels of the account; its names stay. */
export const changeUserSchema = z.strictObject({ ...settings, disabled: z.optional(z.boolean()) })
export type ChangeUser = z.infer<typeof changeUserSchema>

export const usersQuerySchema = z.strictObject(pageQuery)
export const usersPageSchema = pageOf(userViewSchema)
