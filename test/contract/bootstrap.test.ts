import { randomBytes } from 'node:crypto'
import { TunnelFault } from '@postern/protocol/fault'
import { ADMIN_TOKEN_LIFE_DAYS } from '@postern/protocol/limits'
import { openStore, type Stores } from '@postern/protocol/store'
import { Secret, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type FirstAdmin, makeFirstAdmin } from '../../admin/src/bootstrap/first-admin.ts'
import { type OpenPlace, PLACES } from './store/place.ts'

const NOW = Date.parse('2027-01-15T08:00:00Z')

for (const place of PLACES) {
  const title = place.skipped ? `${place.title} (skipped: ${place.skipped})` : place.title
  describe.skipIf(place.skipped)(`the first administrator on ${title}`, () => {
    let opened: OpenPlace
    let stores: Stores

    beforeAll(async () => {
      opened = await place.open()
      stores = openStore(opened)
    })
    beforeEach(async () => {
      await stores.users.remove('admin')
    })
    afterAll(() => opened.close())

    const bootstrap = (options: { force?: boolean; with?: Stores; now?: number } = {}): Promise<FirstAdmin> =>
      makeFirstAdmin({
        stores: options.with ?? stores,
        force: options.force ?? false,
        now: options.now ?? NOW,
        random: randomBytes,
        newId: () => randomBytes(13).toString('hex'),
      })
    const tokensOf = async () => (await stores.tokens.listOf('admin', { limit: 100 })).items

    test('is made once, by one of a hundred that try at the same time', async () => {
      const before = (await tokensOf()).length
      const tries = await Promise.allSettled(Array.from({ length: 100 }, () => bootstrap()))
      const won = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
      const lost = tries.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []))
      expect([won.length, lost]).toEqual([1, Array(99).fill('already-bootstrapped')])
      expect((await tokensOf()).length).toBe(before + 1)
      expect(await stores.tokens.find(tokenHash(new Secret(won[0]!.token.token)))).toMatchObject({
        tokenId: won[0]!.token.id,
        username: 'admin',
        scopes: new Set(['admin', 'tunnel']),
        subdomains: new Set(['*']),
        expiresAt: NOW + ADMIN_TOKEN_LIFE_DAYS * 86_400_000,
      })
      const { items } = await stores.audit.list('2027-01-15', { limit: 100 })
      expect(items).toMatchObject([{ actor: 'deployer', action: 'bootstrap', target: 'admin', result: 'done' }])
    })

    test('gets another token by force, and its account lets it in again', async () => {
      const first = await bootstrap()
      await stores.users.update('admin', { disabled: true, maxTunnels: 3 })
      const second = await bootstrap({ force: true })
      expect(second.token.token).not.toBe(first.token.token)
      expect(await stores.users.find('admin')).toMatchObject({ disabled: false, maxTunnels: 3 })
      expect(await stores.tokens.find(tokenHash(new Secret(first.token.token)))).toMatchObject({
        tokenStatus: 'active',
      })
    })

    test('is completed by force after a crash between account and token', async () => {
      const dying = { ...stores.tokens, create: () => Promise.reject(new TunnelFault('store-unavailable')) }
      await expect(bootstrap({ with: { ...stores, tokens: dying } })).rejects.toMatchObject({
        code: 'store-unavailable',
      })
      await expect(bootstrap()).rejects.toMatchObject({ code: 'already-bootstrapped' })
      const { token } = await bootstrap({ force: true })
      expect(await stores.tokens.find(tokenHash(new Secret(token.token)))).toMatchObject({ tokenStatus: 'active' })
    })

    test('keeps its token although the audit cannot be written, and is told so', async () => {
      const fault = new TunnelFault('store-unavailable')
      const silent = { ...stores.audit, add: () => Promise.reject(fault) }
      const { token, auditFault } = await bootstrap({ with: { ...stores, audit: silent } })
      expect(auditFault).toBe(fault)
      expect(await stores.tokens.find(tokenHash(new Secret(token.token)))).toMatchObject({ tokenId: token.id })
    })
  })
}
