import { TunnelFault } from '@postern/protocol/fault'
import { TOKEN_RECHECK_MS, TOKEN_RECHECKS_AT_ONCE } from '@postern/protocol/limits'
import type { Token } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { type RecordedTunnel, recordedTunnel } from '../testing/recorded-tunnel.ts'
import { TokenCheck } from './token-check.ts'

const token = (tokenHash: string, changes: Partial<Token> = {}): Token => ({
  tokenHash,
  tokenId: tokenHash,
  username: 'ann',
  scopes: new Set(['tunnel']),
  tokenStatus: 'active',
  createdAt: 0,
  expiresAt: 5000,
  label: '',
  ...changes,
})

function setup(tunnels: RecordedTunnel[], random = () => 0.5) {
  const found = new Map<string, Token>()
  const broken = new Set<string>()
  const read: string[] = []
  const unreadable: string[] = []
  const state = { elapsed: 0, reachable: true, busy: 0, busiest: 0 }
  const check = new TokenCheck({
    tokens: {
      async find(tokenHash) {
        read.push(tokenHash)
        state.busy += 1
        state.busiest = Math.max(state.busiest, state.busy)
        await new Promise((resolve) => setImmediate(resolve))
        state.busy -= 1
        if (!state.reachable) throw new TunnelFault('store-unavailable')
        if (broken.has(tokenHash)) throw new TunnelFault('internal-error')
        return found.get(tokenHash)
      },
    },
    tunnels: () => tunnels,
    now: () => state.elapsed,
    random,
    unreadable: (fault) => unreadable.push(fault.code),
  })
  const pass = async (ms: number): Promise<void> => {
    state.elapsed += ms
    await check.round()
  }
  return { check, found, broken, read, unreadable, state, pass }
}

test('the tunnels of a token that is gone or revoked are revoked; those of a good one are listed and learn when it ends', async () => {
  const [good, revoked, gone] = ['good', 'revoked', 'gone'].map((tokenHash) => recordedTunnel({ tokenHash }))
  const { found, pass } = setup([good!, revoked!, gone!])
  found.set('good', token('good', { expiresAt: 7000 }))
  found.set('revoked', token('revoked', { tokenStatus: 'revoked' }))
  await pass(0)
  await pass(TOKEN_RECHECK_MS / 2)
  expect(good!.heard).toEqual(['relisted'])
  expect(good!.tokenExpiresAt).toBe(7000)
  expect(revoked!.heard).toEqual(['revoked: Its token was revoked.'])
  expect(gone!.heard).toEqual(['revoked: Its token is gone.'])
})

test('every token is read once in each TOKEN_RECHECK_MS, however many tunnels it has, and forgotten with the last of them', async () => {
  const tunnels = [1, 2, 3].map(() => recordedTunnel({ tokenHash: 'shared' }))
  const { check, found, read, pass } = setup(tunnels)
  found.set('shared', token('shared'))
  const ticks = 40
  for (let tick = 0; tick <= ticks; tick += 1) await pass(TOKEN_RECHECK_MS / 10)
  expect(read).toHaveLength(4)
  expect(tunnels.map(({ heard }) => heard.length)).toEqual([4, 4, 4])
  expect(check.size).toBe(1)
  tunnels.length = 0
  await pass(0)
  expect(check.size).toBe(0)
})

test('agents that came all at once are read spread over TOKEN_RECHECK_MS, and stay so, also after a long outage', async () => {
  const count = 100
  const tunnels = Array.from({ length: count }, (_, i) => recordedTunnel({ tokenHash: `t${i}` }))
  let drawn = 0
  const { found, read, state, pass } = setup(tunnels, () => drawn++ / count)
  for (const { ticket } of tunnels) found.set(ticket.tokenHash, token(ticket.tokenHash))
  const perTenth = async (): Promise<number[]> => {
    const counts = []
    for (let tick = 0; tick < 10; tick += 1) {
      read.length = 0
      await pass(TOKEN_RECHECK_MS / 10)
      counts.push(read.length)
    }
    return counts
  }
  await pass(0)
  for (const n of await perTenth()) expect(n).toBeGreaterThanOrEqual(9)
  state.reachable = false
  await expect(pass(2.5 * TOKEN_RECHECK_MS)).rejects.toMatchObject({ code: 'store-unavailable' })
  state.reachable = true
  read.length = 0
  await pass(0)
  expect(read).toHaveLength(count)
  for (const n of await perTenth()) expect(n).toBeLessThanOrEqual(11)
  expect(tunnels.every(({ heard }) => heard.every((what) => what === 'relisted'))).toBe(true)
})

test('at most so many are read at once', async () => {
  const tunnels = Array.from({ length: 100 }, (_, i) => recordedTunnel({ tokenHash: `t${i}` }))
  const { read, state, pass } = setup(tunnels, () => 0)
  await pass(0)
  expect(read).toHaveLength(100)
  expect(state.busiest).toBe(TOKEN_RECHECKS_AT_ONCE)
})

test('out of the table’s reach nothing is ended and no more is asked than was under way; it is all read later', async () => {
  const tunnels = Array.from({ length: 100 }, (_, i) => recordedTunnel({ tokenHash: `t${i}` }))
  const { read, state, pass } = setup(tunnels, () => 0)
  state.reachable = false
  await expect(pass(0)).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(read).toHaveLength(TOKEN_RECHECKS_AT_ONCE)
  expect(tunnels.flatMap(({ heard }) => heard)).toEqual([])
  state.reachable = true
  read.length = 0
  await pass(1)
  expect(read).toHaveLength(100)
})

test('a token whose item cannot be read keeps its tunnels, is told, and holds nobody else up', async () => {
  const [odd, good] = ['odd', 'good'].map((tokenHash) => recordedTunnel({ tokenHash }))
  const { found, broken, unreadable, pass } = setup([odd!, good!], () => 0)
  broken.add('odd')
  found.set('good', token('good'))
  await pass(0)
  expect(odd!.heard).toEqual([])
  expect(good!.heard).toEqual(['relisted'])
  expect(unreadable).toEqual(['internal-error'])
})
