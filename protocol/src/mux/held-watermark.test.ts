import { describe, expect, it } from 'vitest'
import { judgeHeld } from './held-watermark.ts'

describe('the watermarks on held bytes', () => {
  const holders = (...held: number[]) => held.map((heldBytes, name) => ({ heldBytes, tenant: `tenant-${name}`, name }))

  it.each([
    [[], { kind: 'calm' }],
    [[10, 40], { kind: 'calm' }],
    [[10, 41], { kind: 'refuse', holder: { heldBytes: 41, name: 1 } }],
    [[60, 15], { kind: 'refuse', holder: { heldBytes: 60, name: 0 } }],
    [[36, 40], { kind: 'reset', holder: { heldBytes: 40, name: 1 } }],
  ])('judge %j of 100', (held, verdict) => {
    expect(judgeHeld(holders(...held), 100)).toMatchObject(verdict)
  })

  it('hold a tenant to what all its channels hold together', () => {
    const modest = { heldBytes: 30, tenant: 'modest' }
    const greedy = [20, 22, 21].map((heldBytes) => ({ heldBytes, tenant: 'greedy' }))
    expect(judgeHeld([modest, ...greedy], 100)).toEqual({ kind: 'reset', holder: greedy[1] })
  })

  it('judge a channel that several tenants share by itself', () => {
    const shared = [25, 30].map((heldBytes) => ({ heldBytes }))
    const greedy = [20, 15].map((heldBytes) => ({ heldBytes, tenant: 'greedy' }))
    expect(judgeHeld([...shared, ...greedy], 100)).toEqual({ kind: 'reset', holder: greedy[0] })
  })
})
