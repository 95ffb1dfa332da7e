/** What every place promises about tickets. */
import { BUSY_RETRY_MS } from '@postern/protocol/limits'
import { openStore } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { diesAfter, losesAnswers } from './broken-client.ts'
import type { OpenPlace } from './place.ts'
import { NOW, range, ticket } from './samples.ts'

export function ticketContract(place: () => OpenPlace): void {
  const stores = () => openStore(place())
  const here = { addressKey: '192.0.2.1', now: NOW }

  test('a ticket is found as it was issued', async () => {
    const issued = ticket({ allowedIps: new Set(['192.0.2.1', '2001:db8::/64']) })
    await stores().tickets.issue(issued)
    expect(await stores().tickets.find(issued.idHash)).toEqual(issued)
  })

  test('an id that was never issued leads to nothing', async () => {
    const { idHash } = ticket()
    expect(await stores().tickets.find(idHash)).toBeUndefined()
    expect(await stores().tickets.consume({ idHash, ...here })).toEqual({ kind: 'lost' })
  })

  test('of 50 that consume one ticket at once exactly one wins, and gets what was issued', async () => {
    const issued = ticket()
    await stores().tickets.issue(issued)
    const outcomes = await Promise.all(
      range(50).map(() => stores().tickets.consume({ idHash: issued.idHash, ...here })),
    )
    expect(outcomes.filter(({ kind }) => kind === 'won')).toEqual([{ kind: 'won', ticket: issued }])
    expect(await stores().tickets.find(issued.idHash)).toBeUndefined()
  })

  test.each([
    ['a millisecond before it expires', -1, 'won'],
    ['at the very millisecond it expires', 0, 'lost'],
    ['a millisecond after', 1, 'lost'],
  ])('a ticket presented %s is %3$s', async (_, after, kind) => {
    const issued = ticket()
    await stores().tickets.issue(issued)
    const now = issued.expiresAt + after
    expect(await stores().tickets.consume({ idHash: issued.idHash, addressKey: '192.0.2.1', now })).toMatchObject({
      kind,
    })
  })

  test('an address that is not on the white list neither opens nor burns the ticket', async () => {
    const issued = ticket()
    await stores().tickets.issue(issued)
    for (const addressKey of ['192.0.2.2', '192.0.2.', '192.0.2.11', '*']) {
      expect(await stores().tickets.consume({ idHash: issued.idHash, addressKey, now: NOW })).toEqual({ kind: 'lost' })
    }
    expect(await stores().tickets.consume({ idHash: issued.idHash, ...here })).toMatchObject({ kind: 'won' })
  })

  test('a lost answer is told as not known, and the ticket does not work a second time', async () => {
    const issued = ticket()
    await stores().tickets.issue(issued)
    const { client, tableName } = place()
    const deaf = openStore({ tableName, client: losesAnswers(client) })
    await expect(deaf.tickets.consume({ idHash: issued.idHash, ...here })).rejects.toMatchObject({
      code: 'server-busy',
      retryAfterMs: BUSY_RETRY_MS,
    })
    expect(await stores().tickets.consume({ idHash: issued.idHash, ...here })).toEqual({ kind: 'lost' })
  })

  test('a call that never reached the table leaves the ticket good', async () => {
    const issued = ticket()
    await stores().tickets.issue(issued)
    const { client, tableName } = place()
    const cut = openStore({ tableName, client: diesAfter(client, 0) })
    await expect(cut.tickets.consume({ idHash: issued.idHash, ...here })).rejects.toMatchObject({ code: 'server-busy' })
    expect(await stores().tickets.consume({ idHash: issued.idHash, ...here })).toMatchObject({ kind: 'won' })
  })

  test('the same id is not issued twice', async () => {
    const issued = ticket()
    await stores().tickets.issue(issued)
    await expect(stores().tickets.issue({ ...issued, username: 'mallory' })).rejects.toMatchObject({ retryable: true })
    expect(await stores().tickets.find(issued.idHash)).toEqual(issued)
  })
}
