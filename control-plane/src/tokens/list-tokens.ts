/** `GET /v1/tokens`: the caller's, or, for an administrator, anybody's or everybody's. */
import type { HandlerOf } from '../call.ts'
import { whoseList } from '../owner.ts'
import { pageOf } from '../page.ts'
import { tokenView } from './token-view.ts'

export const listTokens: HandlerOf<'listTokens'> = ({ token, query }, { stores, now }) => {
  const username = whoseList(token, query.username)
  const time = now()
  return pageOf(query, {
    name: username === undefined ? 'tokens' : `tokens of ${username}`,
    read: (call) => (username === undefined ? stores.tokens.list(call) : stores.tokens.listOf(username, call)),
    view: (found) => tokenView(found, time),
  })
}
