import type { TunnelFault } from '@postern/protocol/fault'
import { OUSTED_KEPT, SLOTS_PER_NAME } from '@postern/protocol/limits'
import type { OnlineRoute, Route } from '@postern/protocol/store'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Claimant, chooseSlot, type SlotChoice } from './choose-slot.ts'

const live = () => true
const claimant = (changes: Partial<Claimant> = {}): Claimant => ({
  ...{ connId: 'new', instanceId: 'me', slot: 0, pool: false },
  ...changes,
})
const anyRoute = (slot: number) => ({ name: 'demo', slot, epoch: 100 + slot, username: 'ann', reservationId: 'r' })
const online = (slot: number, changes: Partial<OnlineRoute> = {}): OnlineRoute => ({
  ...anyRoute(slot),
  ...{ routeState: 'online', claimedAt: 1, taskId: 'task', bootId: 'boot', tokenHash: 't', pool: false },
  ...{ connId: `conn-${slot}`, instanceId: `other-${slot}` },
  ...changes,
})
const offline = (slot: number, changes: { instanceId?: string; pool?: boolean } = {}): Route => ({
  ...anyRoute(slot),
  routeState: 'offline',
  offlineSince: 1,
  ...changes,
})
const pooled = (slot: number, changes: Partial<OnlineRoute> = {}) => online(slot, { pool: true, ...changes })
const slots = (choice: SlotChoice) => ({ slot: choice.slot, ousted: choice.ousted.map(({ slot }) => slot) })

describe('an agent that does not pool', () => {
  test('takes the slot that it asks for, on the epoch that was read', () => {
    expect(chooseSlot(claimant({ slot: 1 }), [], live)).toMatchObject({ slot: 1, epochRead: undefined, ousted: [] })
    expect(chooseSlot(claimant(), [offline(0)], live)).toMatchObject({ slot: 0, epochRead: 100, displaced: undefined })
  })

  test('replaces its own channel of that slot, and leaves its others alone', () => {
    const own = [online(0, { instanceId: 'me' }), online(1, { instanceId: 'me' })]
    expect(slots(chooseSlot(claimant({ slot: 1 }), own, live))).toEqual({ slot: 1, ousted: [] })
  })

  test('takes the name from everybody else, pooling or not, whatever their slots', () => {
    const choice = chooseSlot(claimant(), [online(0), pooled(2), offline(3)], live)
    expect(slots(choice)).toEqual({ slot: 0, ousted: [0, 2] })
    expect(choice.displaced).toBeUndefined()
  })
})

describe('an agent that pools', () => {
  const pooling = (changes: Partial<Claimant> = {}) => claimant({ pool: true, ...changes })

  test('takes the lowest slot that is free, offline or of a task that is gone', () => {
    expect(slots(chooseSlot(pooling(), [pooled(0), pooled(1), pooled(3)], live))).toEqual({ slot: 2, ousted: [] })
    expect(chooseSlot(pooling(), [pooled(0), offline(1), pooled(2)], live)).toMatchObject({ slot: 1, epochRead: 101 })
    const gone = chooseSlot(pooling(), [pooled(0), pooled(1, { taskId: 'gone' })], ({ taskId }) => taskId !== 'gone')
    expect(gone).toMatchObject({ slot: 1, ousted: [], displaced: { connId: 'conn-1' } })
  })

  test('replaces its own channel of the same number, wherever that one found room', () => {
    const routes = [
      pooled(0, { instanceId: 'me', agentSlot: 1 }),
      pooled(1),
      pooled(5, { instanceId: 'me', agentSlot: 0 }),
    ]
    expect(chooseSlot(pooling({ slot: 0 }), routes, live)).toMatchObject({ slot: 5, displaced: undefined })
    expect(chooseSlot(pooling({ slot: 1 }), routes, live)).toMatchObject({ slot: 0 })
    expect(chooseSlot(pooling({ slot: 2 }), routes, live)).toMatchObject({ slot: 2 })
  })

  test('is told when all slots are taken', () => {
    const full = Array.from({ length: SLOTS_PER_NAME }, (_, slot) => pooled(slot))
    expect(() => chooseSlot(pooling(), full, live)).toThrow(expect.objectContaining({ code: 'pool-full', exit: 4 }))
  })

  test('takes the name from one that does not pool', () => {
    expect(slots(chooseSlot(pooling(), [online(0)], live))).toEqual({ slot: 0, ousted: [0] })
  })
})

describe('an agent that lost the name', () => {
  const winner = online(0, { instanceId: 'winner', label: 'desk (pid 7)', ousted: new Set(['me']) })

  test('does not win it back by being late, and hears who has it', () => {
    for (const pool of [false, true]) {
      expect(() => chooseSlot(claimant({ pool }), [winner], () => false)).toThrow(
        expect.objectContaining({ code: 'superseded', detail: 'It is "desk (pid 7)".' }),
      )
    }
  })

  test('may have it again once the other one has gone', () => {
    expect(chooseSlot(claimant(), [offline(0, { instanceId: 'winner' })], live)).toMatchObject({ slot: 0 })
  })

  test('is remembered, also if it was away when it lost the name, and after the one that replaced it was replaced', () => {
    const routes = [online(0, { ousted: new Set(['first']) }), offline(1, { instanceId: 'asleep', pool: false })]
    expect([...chooseSlot(claimant(), routes, live).remembered]).toEqual(['first', 'other-0', 'asleep'])
    const sharing = [pooled(0), offline(1, { instanceId: 'asleep', pool: true }), online(2, { instanceId: 'me' })]
    expect([...chooseSlot(claimant({ pool: true }), sharing, live).remembered]).toEqual([])
  })

  test('is forgotten when too many others have lost it since', () => {
    const before = new Set(Array.from({ length: OUSTED_KEPT }, (_, i) => `lost-${i}`))
    const { remembered } = chooseSlot(claimant(), [online(0, { ousted: before })], live)
    expect(remembered.size).toBe(OUSTED_KEPT)
    expect(remembered.has('lost-0')).toBe(false)
    expect(remembered.has('other-0')).toBe(true)
  })
})

test('whatever stands in the table: two agents that do not both pool never have the name together, and nobody has another one’s slot in peace', () => {
  const instance = fc.constantFrom('a', 'b', 'c')
  const claims = fc.array(fc.record({ instanceId: instance, slot: fc.nat(3), pool: fc.boolean() }), { maxLength: 30 })
  fc.assert(
    fc.property(claims, (sequence) => {
      let table: OnlineRoute[] = []
      const pools = new Map<string, boolean>()
      for (const [index, { instanceId, slot, pool }] of sequence.entries()) {
        // One process says the same each time.
        if (!pools.has(instanceId)) pools.set(instanceId, pool)
        const claim = { connId: `c${index}`, instanceId, slot, pool: pools.get(instanceId)! }
        let choice: SlotChoice
        try {
          choice = chooseSlot(claim, table, live)
        } catch (error) {
          expect((error as TunnelFault).code).toMatch(/superseded|pool-full/)
          continue
        }
        expect(choice.displaced).toBeUndefined()
        table = table.filter((route) => !choice.ousted.includes(route) && route.slot !== choice.slot)
        const ousted = new Set(choice.remembered)
        table.push(online(choice.slot, { ...claim, agentSlot: slot, slot: choice.slot, ousted }))
        const owners = new Set(table.map((route) => route.instanceId))
        expect(owners.size === 1 || table.every((route) => route.pool)).toBe(true)
        const numbers = table.map((route) => `${route.instanceId} ${route.agentSlot}`)
        expect(new Set(numbers).size).toBe(numbers.length)
      }
    }),
  )
})
