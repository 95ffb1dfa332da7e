/** A page of one list as a page of what its items stand for. Knows nothing of the table. */
import type { Page } from './stores.ts'

/** Items for which there is nothing any more are left out: the page is shorter, and its place stays. */
export async function readPage<From, To>(
  { items, next }: Page<From>,
  read: (item: From) => Promise<To | undefined> | To | undefined,
): Promise<Page<To>> {
  const found = await Promise.all(items.map(read))
  return { items: found.filter((item) => item !== undefined), ...(next !== undefined && { next }) }
}
