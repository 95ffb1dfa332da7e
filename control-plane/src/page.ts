/** Pages of lists: where one ended, as an opaque text. Knows nothing of what is listed. */
import { TunnelFault } from '@postern/protocol/fault'
import { PAGE_ITEMS } from '@postern/protocol/limits'
import type { Page, PageCall } from '@postern/protocol/store'
import * as z from 'zod/mini'

interface PageQuery {
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

export interface List<T, View> {
  /** Which list it is, with what it is filtered by: a cursor is good for the list it came from alone. */
  readonly name: string
  read(call: PageCall): Promise<Page<T>>
  /** Undefined leaves the item out. */
  view(item: T): View | undefined
}

const cursorSchema = z.strictObject({ list: z.string(), after: z.string().check(z.minLength(1)) })

/**
 * The page of `list` that `query` asks for.
 * @throws TunnelFault `request-malformed` if the cursor is not one of this list.
 */
export async function pageOf<T, View>(
  { cursor, limit = PAGE_ITEMS }: PageQuery,
  list: List<T, View>,
): Promise<{ items: View[]; next?: string }> {
  const after = cursor === undefined ? undefined : placeIn(list.name, cursor)
  const { items, next } = await list.read({ after, limit })
  return {
    items: items.map(list.view).filter((view) => view !== undefined),
    ...(next !== undefined && { next: encode({ list: list.name, after: next }) }),
  }
}

/** The name of the list that `cursor` came from; undefined if it is no cursor. */
export const listOf = (cursor: string): string | undefined => decode(cursor)?.list

function placeIn(name: string, cursor: string): string {
  const place = decode(cursor)
  if (place?.list !== name) throw new TunnelFault('request-malformed', 'cursor: not the "next" of a page of this list.')
  return place.after
}

const encode = (place: z.infer<typeof cursorSchema>): string => Buffer.from(JSON.stringify(place)).toString('base64url')

function decode(cursor: string): z.infer<typeof cursorSchema> | undefined {
  try {
    return cursorSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()))
  } catch {
    return undefined
  }
}
