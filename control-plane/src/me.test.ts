import type { Token, User } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import type { HandlerDeps } from './call.ts'
import { getMe } from './me.ts'

const me = (ofToken: string[] | undefined, ofUser: string[] | undefined) => {
  const token = { username: 'ann', scopes: new Set(['tunnel']), expiresAt: 0, subdomains: ofToken && new Set(ofToken) }
  const user = { patterns: ofUser && new Set(ofUser) }
  const call = { token: token as Token, user: user as User, params: {}, query: undefined, body: undefined }
  return getMe({ ...call, sourceIp: '', askedAt: 0, target: undefined }, {} as HandlerDeps)
}

test.each([
  [['*'], ['*'], ['*']],
  [['*'], ['ann-*', 'demo'], ['ann-*', 'demo']],
  [['ann-*', 'demo'], ['*'], ['ann-*', 'demo']],
  [['ann-*'], ['ann-1', 'bob'], ['ann-1']],
  [['a*'], ['*b'], []],
  [['*'], undefined, []],
  [undefined, ['*'], []],
])('of a token for %j and an account for %j, %j is told', async (ofToken, ofUser, both) => {
  expect((await me(ofToken, ofUser)).subdomains).toEqual(both)
})
