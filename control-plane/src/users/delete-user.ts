/** `DELETE /v1/users/{username}`: an account with all that hangs on it. */
import { TunnelFault } from '@postern/protocol/fault'
import { BUSY_RETRY_MS, COUNT_SETTLED_MS, MOST_PAGE_ITEMS } from '@postern/protocol/limits'
import type { Page, PageCall } from '@postern/protocol/store'
import type { HandlerDeps, HandlerOf } from '../call.ts'
import { usernameInPath } from '../in-path.ts'
import { requireOther } from '../owner.ts'
import { cutUser } from './cut-user.ts'

/**
 * Disabled first, so that nothing new begins; removed last, so that a call that broke off anywhere can be repeated until it
 * is complete, and nobody gets the name of an account that still has something.
 */
export const deleteUser: HandlerOf<'deleteUser'> = async ({ token, params }, deps) => {
  const { stores, now, newId } = deps
  const username = usernameInPath(params.username)
  requireOther(token, username)
  if ((await stores.users.update(username, { disabled: true })) === undefined) throw noSuchUser()
  await cutUser(username, deps)
  await ofEach(
    (page) => stores.tokens.listOf(username, page),
    async ({ tokenHash, tokenStatus }) => {
      // The channels of all of them are cut already.
      if (tokenStatus === 'active') await stores.tokens.revoke({ tokenHash, now: now(), newId })
    },
  )
  await ofEach(
    (page) => stores.reservations.listOf(username, page),
    async ({ name, releasedAt }) => {
      if (releasedAt === undefined) await stores.reservations.release({ name, owner: username, now: now() })
    },
  )
  await requireSettled(username, deps)
  if (!(await stores.users.remove(username))) throw noSuchUser()
}

async function ofEach<T>(read: (call: PageCall) => Promise<Page<T>>, act: (item: T) => Promise<void>): Promise<void> {
  let after: string | undefined
  do {
    const page = await read({ after, limit: MOST_PAGE_ITEMS })
    await Promise.all(page.items.map(act))
    after = page.next
  } while (after !== undefined)
}

/**
 * A name is counted before it is reserved. One that was counted a moment ago, before the account was disabled, may be
 * reserved after its names were listed, and would then be nobody's for good.
 * @throws TunnelFault `store-unavailable`, to be tried again.
 */
async function requireSettled(username: string, { stores, now }: HandlerDeps): Promise<void> {
  const user = await stores.users.find(username)
  const fresh = Object.entries(user?.subdomains ?? {}).filter(([, countedAt]) => countedAt > now() - COUNT_SETTLED_MS)
  for (const [name] of fresh) {
    const reservation = await stores.reservations.find(name)
    if (reservation?.username !== username || reservation.releasedAt === undefined) {
      const why = `"${name}" is just being reserved; the account is disabled and can be deleted a minute later.`
      throw new TunnelFault('store-unavailable', why, { retryAfterMs: BUSY_RETRY_MS })
    }
  }
}

const noSuchUser = (): TunnelFault => new TunnelFault('not-found', 'There is no such user.')
