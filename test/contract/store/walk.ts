/** A list read to its end, page by page. */
import type { Page, PageCall } from '@postern/protocol/store'

export async function walk<T>(
  list: (call: PageCall) => Promise<Page<T>>,
  { limit, after }: PageCall,
): Promise<Page<T>[]> {
  const pages: Page<T>[] = []
  for (let from = after; pages.length === 0 || from !== undefined; from = pages.at(-1)?.next) {
    pages.push(await list({ limit, ...(from !== undefined && { after: from }) }))
    if (pages.length > 1000) throw new Error('the list does not end')
  }
  return pages
}

export const itemsOf = <T>(pages: readonly Page<T>[]): T[] => pages.flatMap(({ items }) => items)
