import { TunnelFault } from '@postern/protocol/fault'
import { FAILED_AUTH_ADDRESSES, FAILED_AUTHS_PER_MINUTE } from '@postern/protocol/limits'
import { expect, test } from 'vitest'
import { failedAuthLimit } from './failed-auth.ts'
import type { ControlDeps } from './settings.ts'

test('as many addresses are remembered as there is room for, and the minute after that none', async () => {
  let counted = 0
  let now = 0
  const stores = {
    failedAuth: {
      count: async () => {
        counted += 1
        return FAILED_AUTHS_PER_MINUTE + 1
      },
    },
  } as unknown as ControlDeps['stores']
  const limit = failedAuthLimit({ stores, settings: {} as ControlDeps['settings'], now: () => now }, () => {})
  const fail = (n: number) =>
    limit(new TunnelFault('token-unknown'), `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 'request')
  for (let n = 0; n < FAILED_AUTH_ADDRESSES + 2; n += 1) await fail(n)
  counted = 0
  for (const n of [0, FAILED_AUTH_ADDRESSES - 1]) expect((await fail(n)).code).toBe('too-many-failures')
  expect(counted).toBe(0)
  for (const n of [FAILED_AUTH_ADDRESSES, FAILED_AUTH_ADDRESSES + 1]) await fail(n)
  expect(counted).toBe(2)
  now = 60_000
  await fail(0)
  expect(counted).toBe(3)
})
