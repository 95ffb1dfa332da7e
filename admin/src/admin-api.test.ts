import { TunnelFault } from '@postern/protocol/fault'
import { describe, expect, test } from 'vitest'
import { AdminApi } from './admin-api.ts'

type Answer = unknown | TunnelFault

/** An API whose service gives these answers in turn, what it was asked, and how long was waited. */
function apiWith(...answers: Answer[]) {
  const asked: unknown[] = []
  const waited: number[] = []
  const client = {
    call: async (id: string, given: unknown) => {
      asked.push([id, given])
      const answer = answers.shift()
      if (answer instanceof TunnelFault) throw answer
      return answer as never
    },
  }
  const wait = async (ms: number): Promise<void> => {
    waited.push(ms)
  }
  return { api: new AdminApi({ client, wait }), asked, waited }
}

describe('a list', () => {
  test('is read page after page to its end, also past pages that are empty', async () => {
    const { api, asked } = apiWith({ items: [1, 2], next: 'a' }, { items: [], next: 'b' }, { items: [3] })
    expect(await api.list('listTokens', { username: 'ann' })).toEqual([1, 2, 3])
    expect(asked).toEqual([
      ['listTokens', { query: { username: 'ann', limit: '100' } }],
      ['listTokens', { query: { username: 'ann', limit: '100', cursor: 'a' } }],
      ['listTokens', { query: { username: 'ann', limit: '100', cursor: 'b' } }],
    ])
  })

  test('whose cursor stands still is no list', async () => {
    const { api } = apiWith({ items: [1], next: 'a' }, { items: [1], next: 'a' }, { items: [] })
    await expect(api.list('listUsers', {})).rejects.toMatchObject({ code: 'server-unreachable' })
  })
})

describe('a call that is refused for now', () => {
  const soon = new TunnelFault('store-unavailable', undefined, { retryAfterMs: 1000 })

  test('is made again at the time the service names, twice at most, if it only reads', async () => {
    const good = apiWith(soon, soon, { username: 'ann' })
    expect(await good.api.call('getMe', {})).toEqual({ username: 'ann' })
    expect(good.waited).toEqual([1000, 1000])
    const bad = apiWith(soon, soon, soon, 'too late')
    await expect(bad.api.call('getMe', {})).rejects.toBe(soon)
    expect(bad.asked.length).toBe(3)
  })

  test('is made once if it changes anything', async () => {
    const { api, asked, waited } = apiWith(soon, 'too late')
    await expect(api.call('createToken', { body: {} })).rejects.toBe(soon)
    expect([asked.length, waited]).toEqual([1, []])
  })

  test.each([
    ['names no time', new TunnelFault('store-unavailable')],
    ['names a long time', new TunnelFault('too-many-failures', undefined, { retryAfterMs: 5001 })],
    ['is no refusal for now', new TunnelFault('token-unknown', undefined, { retryAfterMs: 10 })],
  ])('is left to the person if it %s', async (_, fault) => {
    const { api, asked } = apiWith(fault, 'too late')
    await expect(api.call('getMe', {})).rejects.toBe(fault)
    expect(asked.length).toBe(1)
  })
})
