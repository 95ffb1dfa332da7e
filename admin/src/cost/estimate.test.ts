import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { estimate } from './estimate.ts'
import { CAVEAT, PRICES, TRANSFER_OUT, transferOut } from './prices.ts'
import { ALARM_METRICS, CANARY, OPENING, STANDING_METRICS, ZONES } from './usage.ts'
import { type WorkloadAsked, workloadOf } from './workload.ts'

const SMALL = { tunnels: 0, gb: 0, taskCpu: 256, taskMemory: 512, architecture: 'arm64', domain: true } as const
const of = (changes: Partial<WorkloadAsked> = {}) => estimate(workloadOf({ ...SMALL, ...changes }))
const cost = (changes: Partial<WorkloadAsked> = {}) => of(changes).total
const usdOf = (service: string, changes: Partial<WorkloadAsked> = {}) =>
  of(changes)
    .parts.filter((part) => part.service === service)
    .reduce((sum, { usd }) => sum + usd, 0)

describe('an estimate', () => {
  const workloads = [{}, { tunnels: 1000, gb: 500 }, { tunnels: 20_000, gb: 200_000, requestsPerSecond: 3000 }]

  test.each(workloads)('is the sum of its parts, none of them negative (%o)', (changes) => {
    const { parts, total } = of(changes)
    expect(parts.reduce((sum, { usd }) => sum + usd, 0)).toBe(total)
    for (const { usd, amount } of parts) {
      expect(usd).toBeGreaterThanOrEqual(0)
      expect(amount).toBeGreaterThanOrEqual(0)
    }
  })

  test('has a part for everything that is billed', () => {
    expect([...new Set(of().parts.map(({ service }) => service))]).toEqual([
      ...['Balancer', 'Fargate', 'Public IPv4', 'DynamoDB', 'HTTP API', 'Lambda', 'CloudWatch', 'Transfer'],
      ...['Secrets Manager', 'Route 53'],
    ])
  })

  test.each(['tunnels', 'gb', 'requestsPerSecond', 'tasks'] as const)(
    'never falls when there is more of %s',
    (what) => {
      const steps = [1, 2, 3, 10, 100, 249, 250, 251, 999, 1000, 1001, 10_000, 10_241, 60_000, 200_000]
      const costs = steps.map((n) => cost({ [what]: n }))
      for (const [i, usd] of costs.entries()) if (i > 0) expect(usd).toBeGreaterThanOrEqual(costs[i - 1]!)
      expect(costs.at(-1)).toBeGreaterThan(costs[0]!)
    },
  )

  test('is cheaper on arm64, and without a domain by its hosted zone where nobody visits', () => {
    expect(cost({ architecture: 'x86_64' })).toBeGreaterThan(cost())
    expect(cost() - cost({ domain: false })).toBeCloseTo(PRICES.hostedZone.usd, 10)
  })

  test('with a canary is dearer by its function, its openings, metrics, alarms and secret, and has no part of it without one', () => {
    const partsOf = (canary: boolean) => of({ canary }).parts.filter((part) => part.of.startsWith('canary'))
    expect(partsOf(false)).toEqual([])
    expect(partsOf(true).map(({ amount }) => amount)).toEqual([43_800, 43_800 * CANARY.gbSeconds])
    const amountOf = (what: string, canary: boolean) => of({ canary }).parts.find((part) => part.of === what)!.amount
    for (const [what, more] of [
      ['calls', 43_800],
      ['alarms', 1],
      ['secrets', 1],
    ] as const)
      expect(amountOf(what, true) - amountOf(what, false)).toBeCloseTo(more, 6)
  })

  test('bills a listener by its greatest dimension alone', () => {
    // 1,000 requests a second are 200 connections a second of TLS: 4 units by those, 5 by the 15,000 that are open.
    const { amount } = of({ requestsPerSecond: 1000 }).parts.find((part) => part.of === 'capacity, visitors')!
    expect(amount).toBeCloseTo(5 * 730, 6)
  })
})

describe('the number of tasks', () => {
  const tasks = (changes: Partial<WorkloadAsked>) => workloadOf({ ...SMALL, ...changes }).tasks

  test('is two at least, and what scaling aims at: 1,000 tunnels for a whole processor', () => {
    expect(tasks({})).toBe(2)
    expect(tasks({ tunnels: 500 })).toBe(2)
    expect(tasks({ tunnels: 501 })).toBe(3)
    expect(tasks({ tunnels: 3000, taskCpu: 1024 })).toBe(3)
  })

  test('follows the processor where requests take it', () => {
    // 0.6 of a quarter of a processor are 0.15; 57 µs each.
    expect(tasks({ requestsPerSecond: 2 * 2631 })).toBe(2)
    expect(tasks({ requestsPerSecond: 2 * 2632 })).toBe(3)
  })

  test('is what was asked for, if it was, but never none', () => {
    expect(tasks({ tunnels: 5000, tasks: 3 })).toBe(3)
    expect(() => tasks({ tasks: 0 })).toThrow(expect.objectContaining({ code: 'usage-invalid' }))
  })
})

describe('what leaves for the internet', () => {
  test('gets cheaper from tier to tier, and only what is above', () => {
    expect(transferOut(0)).toBe(0)
    expect(transferOut(10_240)).toBeCloseTo(921.6, 6)
    expect(transferOut(10_241)).toBeCloseTo(921.6 + 0.085, 6)
    expect(transferOut(200_000)).toBeCloseTo(921.6 + 40_960 * 0.085 + 102_400 * 0.07 + 46_400 * 0.05, 6)
  })
})

/** The three figures that the deployment was designed by, and where this formula differs (docs/cost.md, "Against the design"). */
describe('against the design', () => {
  test('idle, two small tasks: about $49, within a fiftieth, without free allowances, third secret and seven alarms, and a seventh otherwise', () => {
    // Ten metrics, ten alarms, three dashboards.
    const allowances = Math.min(10, STANDING_METRICS) * PRICES.metric.usd + 10 * PRICES.alarm.usd + PRICES.dashboard.usd
    // The design had two secrets, and 28 metrics with alarms.
    const added = allowances + PRICES.secret.usd + (ALARM_METRICS - 28) * PRICES.alarm.usd
    expect(Math.abs((cost() - added) / 49 - 1)).toBeLessThan(0.02)
    expect(Math.abs(cost() / 49 - 1)).toBeLessThan(1 / 7)
  })

  test('idle, the $49 are balancer, x86 tasks and addresses alone', () => {
    const x86 = { architecture: 'x86_64' } as const
    expect(usdOf('Balancer', x86) + usdOf('Fargate', x86) + usdOf('Public IPv4', x86)).toBeCloseTo(49.05, 2)
  })

  test('a terabyte served: $115 to 120 and both ends of what crosses zones', () => {
    const terabyte = cost({ gb: 1000 }) - cost()
    expect(terabyte).toBeGreaterThan(115)
    expect(terabyte).toBeLessThan(120 * 1.05)
    const crossing = of({ gb: 1000 }).parts.find((part) => part.of === 'between zones')!.usd
    expect(terabyte - crossing / 2).toBeLessThan(120)
  })

  test('1,000 tunnels more: not $17 but three times as much, because a small task is meant for 250 of them', () => {
    const more = cost({ tunnels: 2000 }) - cost({ tunnels: 1000 })
    expect(more / 17).toBeGreaterThan(3)
    expect(more / 17).toBeLessThan(3.5)
    // With all of them on one more small task it would be about what the design says.
    const packed = cost({ tunnels: 2000, tasks: 5 }) - cost({ tunnels: 1000, tasks: 4 })
    expect(Math.abs(packed / 17 - 1)).toBeLessThan(0.25)
  })
})

describe('what is counted', () => {
  interface Resource {
    readonly Type: string
    readonly Properties: { readonly Metrics?: readonly { readonly MetricStat?: unknown }[]; readonly Type?: string }
  }
  const resources = (stack: string): Resource[] =>
    Object.values(
      JSON.parse(readFileSync(new URL(`../../../cdk/lib/snapshots/domain/${stack}.template`, import.meta.url), 'utf8'))
        .Resources,
    )
  const ofType = (stack: string, type: string) => resources(stack).filter(({ Type }) => Type === type)

  test('are the alarms that are deployed, by their metrics, and two for each rule of scaling', () => {
    const own = ['ops', 'data']
      .flatMap((stack) => ofType(stack, 'AWS::CloudWatch::Alarm'))
      .map(({ Properties: { Metrics } }) => Metrics?.filter(({ MetricStat }) => MetricStat !== undefined).length ?? 1)
    const rules = ofType('data', 'AWS::ApplicationAutoScaling::ScalingPolicy').length
    expect(own.reduce((sum, n) => sum + n, 0) + 2 * rules).toBe(ALARM_METRICS)
  })

  test('are the zones, secrets and dashboards that are deployed', () => {
    expect(ofType('data', 'AWS::EC2::Subnet')).toHaveLength(ZONES)
    const amountOf = (what: string) => of().parts.find((part) => part.of === what)!.amount
    expect(ofType('state', 'AWS::SecretsManager::Secret')).toHaveLength(amountOf('secrets'))
    expect(ofType('ops', 'AWS::CloudWatch::Dashboard')).toHaveLength(amountOf('dashboard'))
  })

  test('is no more for an opening than ten writes', () => {
    const { ticketWrites, nameWrites, routeWrites, auditWrites } = OPENING
    expect(ticketWrites + nameWrites + routeWrites + auditWrites).toBeLessThanOrEqual(10)
  })

  test('every price has a page and the month it was known in, and the caveat names the oldest', () => {
    const all = [...Object.values(PRICES), ...TRANSFER_OUT]
    for (const { usd, page, known } of all) {
      expect(usd).toBeGreaterThan(0)
      expect(page).toMatch(/^[a-z0-9/-]+$/)
      expect(known).toMatch(/^20\d\d-\d\d$/)
    }
    expect(CAVEAT).toContain(all.map(({ known }) => known).sort()[0])
  })
})
