import { FAULTS, type FaultCode, TunnelFault } from '@postern/protocol/fault'
import { BACKOFF_LONGEST_MS, BACKOFF_RESET_AFTER_MS } from '@postern/protocol/limits'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type AgentEvent, type AgentState, FIRST_STATE, isServing, step } from './agent-state.ts'
import { delayAfter as delayOfOne } from './backoff.ts'

const delayAfter = (failures: number): number => delayOfOne(failures, () => 0.5)
const hasty = { delayAfter, patient: false }
const patient = { delayAfter, patient: true }
const fault = (code: FaultCode, retryAfterMs?: number) =>
  new TunnelFault(code, undefined, retryAfterMs === undefined ? {} : { retryAfterMs })
const failed = (code: FaultCode): AgentEvent => ({ kind: 'failed', fault: fault(code) })
const parted = (code: FaultCode, at: number): AgentEvent => ({ kind: 'parted', fault: fault(code), at })

const walk = (events: readonly AgentEvent[], temper = hasty, from = FIRST_STATE): AgentState =>
  events.reduce((state, event) => step(state, event, temper), from)

const online = walk([{ kind: 'opened', at: 0 }])

describe('before the first success', () => {
  test('an unreachable server ends the agent with exit code 5', () => {
    const state = walk([failed('server-unreachable')])
    expect(state).toMatchObject({ kind: 'ended', why: { code: 'server-unreachable', exit: 5 } })
  })

  test('--retry keeps trying', () => {
    expect(walk([failed('server-unreachable')], patient)).toMatchObject({ kind: 'waiting' })
  })

  test('a server that asks to come again is asked again, but not for ever', () => {
    let state: AgentState = FIRST_STATE
    let attempts = 0
    while (state.kind !== 'ended') {
      attempts += 1
      state = step(step(state, failed('server-busy'), hasty), { kind: 'waited' }, hasty)
    }
    expect(attempts).toBe(5)
    expect(state.why).toMatchObject({ code: 'server-busy', exit: 5 })
  })
})

describe('after the first success', () => {
  test('no network fault ends the agent, however often it comes', () => {
    const codes = (Object.keys(FAULTS) as FaultCode[]).filter((code) => FAULTS[code].exit === 5)
    const events = fc.array(
      fc.oneof(
        fc.constantFrom(...codes).map(failed),
        fc.tuple(fc.constantFrom(...codes), fc.nat(100_000)).map(([code, at]) => parted(code, at)),
        fc.nat(100_000).map((at): AgentEvent => ({ kind: 'opened', at })),
        fc.nat(100_000).map((at): AgentEvent => ({ kind: 'worn', at })),
        fc.constant<AgentEvent>({ kind: 'waited' }),
        fc.constant<AgentEvent>({ kind: 'failed', fault: fault('ip-not-allowed'), observation: 'signed' }),
      ),
      { maxLength: 60 },
    )
    fc.assert(
      fc.property(events, (sequence) => {
        expect(walk(sequence, hasty, online).kind).not.toBe('ended')
      }),
    )
  })

  test.each([
    ['superseded', 4],
    ['revoked', 3],
  ] as const)('%s is the last word, exit code %i', (code, exit) => {
    expect(walk([parted(code, 1)], patient, online)).toMatchObject({ kind: 'ended', why: { code, exit } })
  })

  test.each([
    ['subdomain-taken', 4],
    ['subdomain-not-allowed', 4],
    ['token-revoked', 3],
    ['user-disabled', 3],
    ['hello-invalid', 2],
  ] as const)('a next ticket refused by %s is the last word, exit code %i', (code, exit) => {
    const state = walk([parted('channel-lost', 1), { kind: 'waited' }, failed(code)], patient, online)
    expect(state).toMatchObject({ kind: 'ended', why: { code, exit } })
  })

  test('waits grow while connections are cut at once, and start over after one that lasted', () => {
    let state = online
    const delays: number[] = []
    for (let i = 0; i < 12; i += 1) {
      state = walk([parted('channel-lost', 0)], hasty, state)
      expect.assert(state.kind === 'waiting')
      delays.push(state.delayMs)
      state = walk([{ kind: 'waited' }, { kind: 'opened', at: 0 }], hasty, state)
    }
    expect(delays.slice(0, 4)).toEqual([50, 100, 200, 400])
    expect(delays.at(-1)).toBe(BACKOFF_LONGEST_MS / 2)
    expect(walk([parted('channel-lost', BACKOFF_RESET_AFTER_MS)], hasty, state)).toMatchObject({ delayMs: 50 })
  })

  test('a server that names a time is not asked before', () => {
    const busy: AgentEvent = { kind: 'failed', fault: fault('server-busy', 2000) }
    const state = walk([parted('channel-lost', 1), { kind: 'waited' }, busy], hasty, online)
    expect(state.kind === 'waiting' && state.delayMs).toBeGreaterThanOrEqual(2000)
  })
})

describe('a channel that is to be replaced', () => {
  const worn: AgentEvent = { kind: 'worn', at: 1 }
  const replacing = walk([worn], hasty, online)

  test('serves while its successor is opened, and while that fails', () => {
    expect(replacing).toMatchObject({ kind: 'opening', standing: true })
    const failing = walk([failed('server-unreachable')], hasty, replacing)
    expect(failing).toMatchObject({ kind: 'waiting', standing: true })
    const again = walk([{ kind: 'waited' }], hasty, failing)
    for (const state of [replacing, failing, again]) expect(isServing(state)).toBe(true)
  })

  test('that goes first leaves its successor on the way, and visitors without either', () => {
    const state = walk([parted('channel-lost', 2)], hasty, replacing)
    expect(state).toMatchObject({ kind: 'opening', standing: false })
    expect(isServing(state)).toBe(false)
    expect(walk([{ kind: 'opened', at: 3 }], hasty, state)).toMatchObject({ kind: 'online' })
  })

  test('still hears the last word', () => {
    for (const code of ['superseded', 'revoked'] as const) {
      expect(walk([parted(code, 2)], hasty, replacing)).toMatchObject({ kind: 'ended', why: { code } })
    }
  })

  test('is not followed by one attempt upon the other where no other task is there', () => {
    expect(walk([failed('server-draining')], hasty, replacing)).toMatchObject({ kind: 'opening' })
    const refused = Array.from({ length: 3 }, () => failed('server-draining'))
    expect(walk(refused, hasty, replacing)).toMatchObject({ kind: 'waiting', standing: true })
  })
})

describe('an address that the ticket was not for', () => {
  const refused: AgentEvent = { kind: 'failed', fault: fault('ip-not-allowed'), observation: 'signed' }

  test('is answered by a new ticket with the observation, twice, and then by an error', () => {
    const first = walk([refused])
    expect(first).toMatchObject({ kind: 'opening', observation: 'signed' })
    const second = walk([refused], hasty, first)
    expect(second).toMatchObject({ kind: 'opening', observation: 'signed' })
    expect(walk([refused], hasty, second)).toMatchObject({ kind: 'ended', why: { code: 'ip-not-allowed', exit: 5 } })
  })

  test('is what the error says, also when the control plane takes no observation', () => {
    const state = walk([refused, failed('observation-refused')])
    expect(state).toMatchObject({ kind: 'ended', why: { code: 'ip-not-allowed', exit: 5 } })
  })

  test('may come again after a success: networks change', () => {
    const state = walk([
      refused,
      refused,
      { kind: 'opened', at: 0 },
      parted('channel-lost', 1),
      { kind: 'waited' },
      refused,
    ])
    expect(state).toMatchObject({ kind: 'opening', observation: 'signed' })
  })
})

test('being told to stop ends every state, without a fault, and nothing follows', () => {
  for (const state of [
    FIRST_STATE,
    online,
    walk([{ kind: 'worn', at: 1 }], hasty, online),
    walk([parted('channel-lost', 1)], hasty, online),
  ]) {
    const ended = step(state, { kind: 'stopped' }, hasty)
    expect(ended).toEqual({ kind: 'ended', why: undefined })
    expect(step(ended, { kind: 'opened', at: 1 }, hasty)).toBe(ended)
  }
})
