import { TunnelFault } from '@postern/protocol/fault'
import { REVOCATION_WINDOW_MS } from '@postern/protocol/limits'
import type { Revocation } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { type RecordedTunnel, recordedTunnel } from '../testing/recorded-tunnel.ts'
import { RevocationWatch } from './revocation-watch.ts'

const DAY = 86_400_000
/** Control plane's clock at the beginning; the task's clock is an hour off, which must not matter. */
const T0 = 1_800_000_000_000
const TASK_IS_AHEAD = 3_600_000

/** A list of revocations as the table would give it, and a watch that reads it. */
function setup(tunnels: RecordedTunnel[]) {
  const rows: Revocation[] = []
  const asked: string[] = []
  const told: string[] = []
  const strange: string[] = []
  let elapsed = 0
  const state = { reachable: true }
  const watch = new RevocationWatch({
    revocations: {
      async since(cursor, unreadable) {
        asked.push(cursor)
        for (const each of strange) unreadable?.(each)
        if (!state.reachable) throw new TunnelFault('store-unavailable')
        return rows.filter((row) => row.cursor > cursor)
      },
    },
    tunnels: () => tunnels,
    unreadable: (cursor) => told.push(cursor),
    clock: () => T0 + TASK_IS_AHEAD + elapsed,
    now: () => elapsed,
  })
  let serial = 0
  const revoke = (what: Revocation['what'], key: string, notBefore = T0 + elapsed): void => {
    serial += 1
    const cursor = `${String(T0 + elapsed).padStart(15, '0')}#${String(serial).padStart(26, '0')}`
    rows.push({ cursor, what, key, notBefore })
  }
  const pass = (ms: number): void => {
    elapsed += ms
  }
  return { watch, revoke, pass, asked, state, strange, told }
}

const live = (changes: Parameters<typeof recordedTunnel>[0] = {}): RecordedTunnel =>
  recordedTunnel({ issuedAt: T0 - 1000, tokenExpiresAt: T0 + DAY, ...changes })

test('a token that is revoked ends its tunnels for good, whenever their tickets were issued, and no others', async () => {
  const old = live({ tokenHash: 'bad' })
  const late = live({ tokenHash: 'bad', issuedAt: T0 + 5000 })
  const other = live({ tokenHash: 'good' })
  const { watch, revoke } = setup([old, late, other])
  revoke('token', 'bad')
  await watch.round()
  expect(old.heard).toEqual(['revoked: Its token was revoked.'])
  expect(late.heard).toEqual(['revoked: Its token was revoked.'])
  expect(other.heard).toEqual([])
})

test('a row that cannot be read is told once, and the others are applied', async () => {
  const tunnel = live({ tokenHash: 'bad' })
  const { watch, revoke, strange, told } = setup([tunnel])
  strange.push('1800000000000#STRANGE')
  revoke('token', 'bad')
  await watch.round()
  await watch.round()
  expect(told).toEqual(['1800000000000#STRANGE'])
  expect(tunnel.heard[0]).toBe('revoked: Its token was revoked.')
})

test('an account that is revoked loses every tunnel whose ticket was issued by then; a later ticket counts again', async () => {
  const tunnels = ['a', 'b'].map((subdomain) => live({ subdomain, username: 'ann', tokenHash: subdomain }))
  const atThatMoment = live({ issuedAt: T0 })
  const later = live({ issuedAt: T0 + 1 })
  const stranger = live({ username: 'bob' })
  const { watch, revoke } = setup([...tunnels, atThatMoment, later, stranger])
  revoke('user', 'ann', T0)
  await watch.round()
  for (const tunnel of [...tunnels, atThatMoment])
    expect(tunnel.heard).toEqual(['revoked: The account was disabled or removed.'])
  expect(later.heard).toEqual([])
  expect(stranger.heard).toEqual([])
})

test('a name that is disconnected only ends the channel that has it', async () => {
  const demo = live({ subdomain: 'demo' })
  const back = live({ subdomain: 'demo', issuedAt: T0 + 1 })
  const demos = live({ subdomain: 'demos' })
  const { watch, revoke } = setup([demo, back, demos])
  revoke('subdomain', 'demo', T0)
  await watch.round()
  expect(demo.heard).toEqual(['disconnected: channel-closed'])
  expect(back.heard).toEqual([])
  expect(demos.heard).toEqual([])
})

test('of several revocations of one account the latest counts, in whatever order they are listed', async () => {
  const tunnel = live({ issuedAt: T0 + 10 })
  const { watch, revoke } = setup([tunnel])
  revoke('user', 'ann', T0 + 20)
  revoke('user', 'ann', T0)
  await watch.round()
  expect(tunnel.heard).toHaveLength(1)
})

test('a ticket issued before the revocation and opened a minute after it is ended at the next poll', async () => {
  const tunnels: RecordedTunnel[] = []
  const { watch, revoke, pass } = setup(tunnels)
  revoke('user', 'ann')
  await watch.round()
  pass(REVOCATION_WINDOW_MS - 1)
  tunnels.push(live({ issuedAt: T0 - 1 }), live({ issuedAt: T0 + 1 }))
  await watch.round()
  expect(tunnels.map(({ heard }) => heard.length)).toEqual([1, 0])
})

test('a channel that asks for its name is judged by what was read last: refused for good, or told to ask for another ticket', async () => {
  const { watch, revoke } = setup([])
  const { ticket } = live({ issuedAt: T0 })
  expect(() => watch.admit(ticket)).not.toThrow()
  revoke('subdomain', 'demo')
  await watch.round()
  expect(() => watch.admit(ticket)).toThrow(expect.objectContaining({ code: 'ticket-refused', retryable: true }))
  revoke('user', 'ann')
  await watch.round()
  expect(() => watch.admit(ticket)).toThrow(expect.objectContaining({ code: 'revoked', exit: 3 }))
  expect(() => watch.admit({ ...ticket, issuedAt: T0 + 1 })).not.toThrow()
})

test('polls read one window back from where the list has come to, so that a quiet list costs nothing', async () => {
  const { watch, revoke, pass, asked } = setup([])
  await watch.round()
  pass(60_000)
  revoke('token', 'x')
  await watch.round()
  pass(5000)
  await watch.round()
  pass(REVOCATION_WINDOW_MS)
  await watch.round()
  const cursor = (time: number): string => String(time).padStart(15, '0')
  const seen = T0 + 60_000 - REVOCATION_WINDOW_MS
  expect(asked).toEqual(['', '', cursor(seen + 5000), cursor(seen + 5000 + REVOCATION_WINDOW_MS)])
})

test('while the list cannot be read the last one stands, tunnels stay, and tokens still expire', async () => {
  const revoked = live({ tokenHash: 'bad' })
  const expiring = live({ tokenExpiresAt: T0 + TASK_IS_AHEAD + 50 })
  const staying = live()
  const tunnels = [expiring, staying]
  const { watch, revoke, pass, state } = setup(tunnels)
  revoke('token', 'bad')
  await watch.round()
  state.reachable = false
  tunnels.push(revoked)
  pass(50)
  await expect(watch.round()).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(revoked.heard).toHaveLength(1)
  expect(expiring.heard).toEqual(['disconnected: token-expired'])
  expect(staying.heard).toEqual([])
})

test('a token that is known to end sooner or later than its ticket said ends then', async () => {
  const sooner = live()
  const later = live({ tokenExpiresAt: T0 + TASK_IS_AHEAD })
  sooner.tokenExpiresAt = T0 + TASK_IS_AHEAD
  later.tokenExpiresAt = T0 + DAY
  const { watch } = setup([sooner, later])
  await watch.round()
  expect(sooner.heard).toEqual(['disconnected: token-expired'])
  expect(later.heard).toEqual([])
})
