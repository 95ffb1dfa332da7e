import { describe, expect, it } from 'vitest'
import { INITIAL_WINDOW_BYTES, MAX_WINDOW_BYTES, WINDOW_REST_MS } from '../limits.ts'
import { pass, SimulatedFlow } from './testing/simulated-flow.ts'
import { type GrowingWindow, WindowBudget, type WindowShare } from './window-budget.ts'

const MiB = 1024 * 1024
const BUDGET = 32 * MiB
const ROUND_TRIP_MS = 100
/** What a window of the largest size lets through in a second. It is credited half at a time, so a flow whose bursts lie badly has half of that. */
const ALONE = (MAX_WINDOW_BYTES * 1000) / ROUND_TRIP_MS

const flowsOf = (share: WindowShare, count: number): SimulatedFlow[] =>
  Array.from({ length: count }, () => new SimulatedFlow(share, ROUND_TRIP_MS))

/** Flows of one tenant that have run for ten seconds. */
function busy(budget: WindowBudget, tenant: string | undefined, count: number) {
  const flows = flowsOf(budget.share(tenant), count)
  return { flows, now: pass(flows, 0, 10_000).now }
}

const sizes = (flows: readonly SimulatedFlow[]): number => flows.reduce((sum, { window }) => sum + window.size, 0)

describe('a flow alone', () => {
  it('has the largest window within two seconds', () => {
    const [flow] = flowsOf(new WindowBudget(BUDGET).share(), 1)
    const { now } = pass([flow!], 0, 2000)
    expect(flow!.window.size).toBe(MAX_WINDOW_BYTES)
    expect(pass([flow!], now, 1000).received[0]).toBeGreaterThanOrEqual(0.9 * ALONE)
  })

  it('goes on at its rate after a rest of any length', () => {
    const { flows, now } = busy(new WindowBudget(BUDGET), 'a', 1)
    const [flow] = flows as [SimulatedFlow]
    const before = pass(flows, now, 1000)
    flow.bytesPerMs = 0
    const rested = pass(flows, before.now, 10 * WINDOW_REST_MS)
    flow.bytesPerMs = Infinity
    expect(pass(flows, rested.now, 1000).received[0]).toBeGreaterThanOrEqual(0.95 * before.received[0]!)
    expect(flow.window.size).toBe(MAX_WINDOW_BYTES)
  })

  it('that became slow gives its growth back as it goes on', () => {
    const budget = new WindowBudget(BUDGET)
    const { flows, now } = busy(budget, 'a', 1)
    const others = flowsOf(budget.share('b'), 3)
    flows[0]!.bytesPerMs = 2000
    pass([...flows, ...others], now, 30_000)
    expect(flows[0]!.window.size).toBeLessThanOrEqual(2 * INITIAL_WINDOW_BYTES)
    expect(flows[0]!.received).toBeGreaterThanOrEqual(2000 * 30_000)
  })
})

describe('a flow that wakes while others want its growth', () => {
  it('has not lost it, if it was not asked for while it rested', () => {
    const budget = new WindowBudget(BUDGET)
    const { flows, now } = busy(budget, 'a', 1)
    const [flow] = flows as [SimulatedFlow]
    flow.bytesPerMs = 0
    const rested = pass(flows, now, 10 * WINDOW_REST_MS).now
    flow.bytesPerMs = Infinity
    const other = new SimulatedFlow(budget.share('b'), ROUND_TRIP_MS)
    pass([flow, other], rested, 3000)
    expect(flow.window.grown).toBeGreaterThanOrEqual(0.45 * BUDGET)
    expect(other.window.grown).toBeGreaterThanOrEqual(0.45 * BUDGET)
  })
})

describe('flows of others', () => {
  const newcomer = (budget: WindowBudget, tenant = 'b') => new SimulatedFlow(budget.share(tenant), ROUND_TRIP_MS)

  it.each<[string, (flow: SimulatedFlow) => void]>([
    ['are idle', (flow) => (flow.bytesPerMs = 0)],
    ['send a byte now and then', (flow) => (flow.bytesPerMs = 0.001)],
    ['have readers that stall', (flow) => (flow.reads = false)],
  ])('that %s keep nothing from a newcomer', (_how, rest) => {
    const budget = new WindowBudget(BUDGET)
    const { flows, now } = busy(budget, 'a', 10)
    expect(budget.free).toBeLessThan(MiB)
    for (const flow of flows) rest(flow)
    const rested = pass(flows, now, 2 * WINDOW_REST_MS).now
    const flow = newcomer(budget)
    const begun = pass([...flows, flow], rested, 2000).now
    expect(pass([...flows, flow], begun, 1000).received.at(-1)).toBeGreaterThanOrEqual(0.9 * ALONE)
  })

  it('keep, while all of them are busy, no more than a newcomer’s tenant has', () => {
    const budget = new WindowBudget(BUDGET)
    const { flows, now } = busy(budget, 'a', 10)
    const flow = newcomer(budget)
    const { now: later } = pass([...flows, flow], now, 3000)
    expect(flow.window.grown).toBeGreaterThanOrEqual(0.45 * BUDGET)
    expect(pass([...flows, flow], later, 1000).received.at(-1)).toBeGreaterThanOrEqual(0.45 * ALONE)
    // And with the next one it is a third for each.
    const third = newcomer(budget, 'c')
    pass([...flows, flow, third], later + 1000, 5000)
    for (const grown of [sizes(flows) - 10 * INITIAL_WINDOW_BYTES, flow.window.grown, third.window.grown])
      expect(grown / BUDGET).toBeCloseTo(1 / 3, 1)
  })

  it('of the same tenant are equal by channel, and those of one channel by stream', () => {
    const budget = new WindowBudget(BUDGET)
    const { flows, now } = busy(budget, 'a', 3)
    const channel = flowsOf(budget.share('a'), 1)
    const { now: later } = pass([...flows, ...channel], now, 5000)
    expect(channel[0]!.window.grown).toBeGreaterThanOrEqual(0.45 * BUDGET)
    const last = new SimulatedFlow(budget.share('b'), ROUND_TRIP_MS)
    last.bytesPerMs = 0
    pass([...flows, ...channel], later, 5000)
    const [least, most] = [Math.min, Math.max].map((pick) => pick(...flows.map(({ window }) => window.grown)))
    expect(most! - least!).toBeLessThanOrEqual(MiB)
  })

  it('with as many tenants as the budget has room for leave each of them a share', () => {
    const budget = new WindowBudget(BUDGET)
    const flows = Array.from({ length: 40 }, (_, index) => newcomer(budget, `tenant-${index}`))
    pass(flows, 0, 10_000)
    for (const { window } of flows) expect(window.grown).toBeGreaterThanOrEqual(BUDGET / 40 / 2)
    expect(sizes(flows) - 40 * INITIAL_WINDOW_BYTES).toBeLessThanOrEqual(BUDGET)
  })

  it('leave nothing behind', () => {
    const budget = new WindowBudget(BUDGET)
    const [one, two] = [busy(budget, 'a', 5), busy(budget, undefined, 5)]
    for (const flow of one.flows) flow.bytesPerMs = 0
    pass([...one.flows, ...two.flows], 10_000, 5000)
    for (const { window } of [...one.flows, ...two.flows]) window.release()
    expect(budget.free).toBe(BUDGET)
  })
})

describe('what rests', () => {
  it('is promised to one tenant up to the budget, and then it alone grows no further', () => {
    const budget = new WindowBudget(BUDGET)
    const share = budget.share('a')
    let now = 0
    const flows: SimulatedFlow[] = []
    for (let round = 0; round < 20; round++) {
      const [flow] = flowsOf(share, 1) as [SimulatedFlow]
      flows.push(flow)
      now = pass([flow], now, 3000).now
      flow.bytesPerMs = 0
      now += 2 * WINDOW_REST_MS
    }
    expect(sizes(flows) - 20 * INITIAL_WINDOW_BYTES).toBeLessThanOrEqual(BUDGET)
    expect(sizes(flows)).toBeGreaterThan(0.9 * BUDGET)
    const flow = new SimulatedFlow(budget.share('b'), ROUND_TRIP_MS)
    pass([flow], now, 2000)
    expect(flow.window.size).toBe(MAX_WINDOW_BYTES)
  })
})

describe('the budget', () => {
  /** A window that does what it is told. */
  class Window implements GrowingWindow {
    grown = 0
    asked = 0
    readonly share: WindowShare

    constructor(share: WindowShare) {
      this.share = share
    }

    take(bytes: number, now: number): number {
      const granted = this.share.take(this, bytes, now)
      this.grown += granted
      return granted
    }

    restsAt = () => false
    rest = () => expect.unreachable()
    askBack(bytes: number): void {
      this.asked = bytes
    }
  }

  it('gives nobody more than half of what is left, and nothing that is not worth it', () => {
    const budget = new WindowBudget(MiB)
    const windows = Array.from({ length: 5 }, () => new Window(budget.share()))
    const granted = windows.map((window) => window.take(8 * MiB, 0))
    expect(granted).toEqual([MiB / 2, MiB / 4, MiB / 8, MiB / 16, 0])
    expect(new WindowBudget(0).share().take(windows[0]!, MiB, 0)).toBe(0)
  })

  it('asks half of the difference of the one who has most, and keeps what is returned for the one who is short', () => {
    const budget = new WindowBudget(4 * MiB)
    const [rich, poor] = [new Window(budget.share('a')), new Window(budget.share('b'))]
    for (let now = 0; rich.take(4 * MiB, now) > 0; now += 10);
    expect(poor.take(MiB, 1000)).toBe(0)
    expect(rich.asked).toBe(MiB)
    rich.share.giveBack(rich, MiB, 0)
    rich.grown -= MiB
    expect(rich.take(MiB, 1010)).toBe(0)
    expect(poor.take(MiB, 1020)).toBe(MiB)
  })

  it('asks nothing of anybody for one who has as much as the others', () => {
    const budget = new WindowBudget(MiB)
    const windows = [new Window(budget.share('a')), new Window(budget.share('b'))]
    for (let now = 0; now < 100; now += 10) for (const window of windows) window.take(64 * 1024, now)
    expect(windows[0]!.take(MiB, 1000) + windows[1]!.take(MiB, 1010)).toBe(0)
    expect(windows.map(({ asked }) => asked)).toEqual([0, 0])
  })
})
