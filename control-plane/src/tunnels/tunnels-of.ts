/** The channels of one account, by way of its names. Knows nothing of which tasks are still there. */
import type { OnlineRoute, Page, PageCall, Stores } from '@postern/protocol/store'

/** Where a page ended: in the list of names, and, where a page of names had more channels than fit, after which channel. */
const PLACE = /^(?<names>[^/]*)(?:\/(?<name>[^/#]+)#(?<slot>\d))?$/

/** A page of names is read, and of each its routes. One name has several channels where agents share it. */
export async function tunnelsOf(
  username: string,
  { after = '', limit }: PageCall,
  stores: Pick<Stores, 'reservations' | 'routes'>,
): Promise<Page<OnlineRoute>> {
  const { names = '', name = '', slot = '' } = PLACE.exec(after)?.groups ?? {}
  const page = await stores.reservations.listOf(username, { after: names === '' ? undefined : names, limit })
  const routes = await Promise.all(page.items.map((reservation) => stores.routes.list(reservation.name)))
  const open = routes
    .flat()
    .filter((route): route is OnlineRoute => route.routeState === 'online')
    .filter((route) => route.username === username)
    .filter((route) => route.name > name || (route.name === name && route.slot > Number(slot)))
  const items = open.slice(0, limit)
  const last = items.at(-1)
  if (open.length > limit && last) return { items, next: `${names}/${last.name}#${last.slot}` }
  return { items, ...(page.next !== undefined && { next: page.next }) }
}
