/** How lists are asked for and answered, one page at a time. Knows nothing of what is listed. */
import * as z from 'zod/mini'
import { CURSOR_CHARACTERS, MOST_PAGE_ITEMS } from '../limits.ts'

/** Query parameters are text: `limit` is judged as digits, and read as a number. */
const limit = z.pipe(
  z.string().check(z.regex(/^[1-9]\d{0,2}$/, `a whole number from 1 to ${MOST_PAGE_ITEMS}`)),
  z.pipe(z.transform(Number), z.int().check(z.gte(1), z.lte(MOST_PAGE_ITEMS))),
)

/** Of every list. `cursor` is the `next` of the page before, unchanged. */
export const pageQuery = {
  cursor: z.optional(
    z.string().check(z.maxLength(CURSOR_CHARACTERS), z.regex(/^[\w-]+$/, 'the `next` of the page before')),
  ),
  limit: z.optional(limit),
}

/** A page may be shorter than asked for, even empty, and still have a `next`; the list is over where that is missing. */
export const pageOf = <T extends z.ZodMiniType>(item: T) =>
  z.object({ items: z.array(item), next: z.optional(z.string()) })
