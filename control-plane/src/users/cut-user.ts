/** Has every channel of an account cut, once the account is disabled. */
import type { HandlerDeps } from '../call.ts'

/**
 * The time is taken after the account was disabled: a ticket issued up to then may have been asked for before, and one
 * that is issued later was not.
 */
export async function cutUser(username: string, { stores, now, newId }: HandlerDeps): Promise<void> {
  const time = now()
  await stores.revocations.add({ what: 'user', key: username, notBefore: time, now: time, newId })
}
