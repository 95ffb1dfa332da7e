import { describe, expect, test } from 'vitest'
import type { NodeEvent } from './deployment.ts'
import { judgeHealthChecks } from './health-checks.ts'
import { judgeHealthyHosts } from './healthy-hosts.ts'
import { type Flow, judgeLateFlows } from './late-flows.ts'
import { judgeRequests } from './requests.ts'
import { judgeRevocation } from './revocation.ts'
import { judgeStopOrder } from './stop-order.ts'

const event = (node: string, kind: NodeEvent['kind'], at: number, after = at): NodeEvent => ({ node, kind, at, after })
const flow = (node: string | undefined, at: number, failure?: string): Flow => ({ node, at, failure })

describe('the order of deregistration and SIGTERM', () => {
  const order = (...events: NodeEvent[]) => judgeStopOrder(['a', 'b'], events)
  const goodA = [event('a', 'deregistered', 1000), event('a', 'sigterm', 31_000)]

  test('passes if each node is deregistered first, and gives the least and the longest time between', () => {
    expect(order(...goodA, event('b', 'sigterm', 6000), event('b', 'deregistered', 2000))).toEqual({
      outcome: 'passed',
      detail: '2 nodes; SIGTERM came 4.0 s to 30.0 s after deregistration.',
    })
  })

  test('fails if one node gets SIGTERM first', () => {
    const { outcome, detail } = order(...goodA, event('b', 'sigterm', 2000), event('b', 'deregistered', 4000))
    expect([outcome, detail]).toEqual(['failed', 'SIGTERM came before deregistration. b: SIGTERM 2.0 s before.'])
  })

  test('fails for one node although another node could not be observed', () => {
    const { outcome } = judgeStopOrder(['b', 'c'], [event('b', 'sigterm', 2000), event('b', 'deregistered', 4000)])
    expect(outcome).toBe('failed')
  })

  test('is not measurable if both happen between two polls, or if an event is missing', () => {
    expect(order(...goodA, event('b', 'sigterm', 2500), event('b', 'deregistered', 3000, 2000))).toEqual({
      outcome: 'not measurable',
      detail: 'b: both within one poll.',
    })
    expect(order(...goodA, event('b', 'sigterm', 2500)).detail).toBe('b: no deregistration was observed.')
    expect(order(...goodA).detail).toBe('b: no SIGTERM was observed.')
    expect(judgeStopOrder([], []).outcome).toBe('not measurable')
  })
})

describe('new connections after deregistration', () => {
  const events = [
    ...[event('a', 'deregistered', 10_000), event('a', 'stopped', 150_000)],
    ...[event('b', 'deregistered', 10_000), event('b', 'stopped', 140_000)],
  ]

  test('pass if none fails; the report has the last one and how much later a node stopped', () => {
    const flows = [flow('a', 5000), flow('a', 70_000), flow('b', 100_000), flow('c', 149_000)]
    expect(judgeLateFlows(['a', 'b'], events, flows)).toEqual({
      outcome: 'passed',
      detail:
        'None of 4 new connections failed. 2 came to a node after its deregistration, the last one 90.0 s after. ' +
        'The node that stopped soonest stopped 40.0 s after its last one.',
    })
  })

  test('fail if one connection failed, whichever node it was for', () => {
    const { outcome, detail } = judgeLateFlows(['a'], events, [flow('a', 5000), flow(undefined, 6000, 'ECONNREFUSED')])
    expect([outcome, detail]).toEqual(['failed', '1 of 2 new connections failed: ECONNREFUSED.'])
  })

  test('are not measurable without a log of them or without the end of a node', () => {
    expect(judgeLateFlows(['a'], events, [flow(undefined, 5000)]).outcome).toBe('not measurable')
    expect(judgeLateFlows(['a'], events, []).outcome).toBe('not measurable')
    expect(judgeLateFlows(['a'], events.slice(0, 1), [flow('a', 1)]).detail).toBe('a: no end was observed.')
  })
})

describe('health checks', () => {
  test('pass if every new node got a connection', () => {
    const { outcome, detail } = judgeHealthChecks(['c', 'd'], [flow('c', 1), flow('d', 2)], true)
    expect([outcome, detail]).toEqual(['passed', expect.stringContaining('begin with a PROXY header')])
  })

  test('pass without a claim about the header where it is not visible', () => {
    const { outcome, detail } = judgeHealthChecks(['c'], [flow('c', 1)], false)
    expect([outcome, detail]).toEqual(['passed', expect.stringContaining('not visible')])
  })

  test('fail if a new node got none', () => {
    expect(judgeHealthChecks(['c', 'd'], [flow('c', 1)], true)).toEqual({
      outcome: 'failed',
      detail: '1 of 2 new nodes got no connection from the balancer: d.',
    })
  })

  test('are not measurable without a log', () => {
    expect(judgeHealthChecks(['c'], [flow(undefined, 1)], true).outcome).toBe('not measurable')
    expect(judgeHealthChecks([], [flow('c', 1)], true).outcome).toBe('not measurable')
  })
})

describe('HealthyHostCount', () => {
  const zones = [
    { zone: 'a', values: [1, 1] },
    { zone: 'b', values: [1, 2] },
  ]

  test('passes if the metric without a zone is the number of nodes', () => {
    expect(judgeHealthyHosts({ nodes: 2, all: [2, 2], zones })).toEqual({
      outcome: 'passed',
      detail: '2 nodes; minimum of all zones in 2 minutes: 2 (a: 1, b: 1 to 2).',
    })
  })

  test('fails if it is the number of one zone', () => {
    expect(judgeHealthyHosts({ nodes: 2, all: [2, 1], zones: [] })).toEqual({
      outcome: 'failed',
      detail: '2 nodes; minimum of all zones in 2 minutes: 1 to 2 (no series by zone).',
    })
  })

  test('is not measurable with one node or without values', () => {
    expect(judgeHealthyHosts({ nodes: 1, all: [1], zones }).outcome).toBe('not measurable')
    expect(judgeHealthyHosts({ nodes: 2, all: [], zones }).outcome).toBe('not measurable')
  })
})

describe('requests across a deployment', () => {
  test('pass if none failed, and fail with the reasons if one did', () => {
    expect(judgeRequests({ requests: 900, failed: 0, reasons: new Map() }, 2)).toEqual({
      outcome: 'passed',
      detail: '0 of 900 requests failed while 2 nodes were replaced.',
    })
    expect(judgeRequests({ requests: 900, failed: 3, reasons: new Map([['ECONNRESET', 3]]) }, 2)).toEqual({
      outcome: 'failed',
      detail: '3 of 900 requests failed while 2 nodes were replaced: 3 × ECONNRESET.',
    })
  })

  test('are not measurable if nothing was sent or nothing was replaced', () => {
    const none = { requests: 0, failed: 0, reasons: new Map() }
    expect(judgeRequests(none, 2).outcome).toBe('not measurable')
    expect(judgeRequests({ ...none, requests: 5 }, 0).outcome).toBe('not measurable')
  })
})

describe('a revocation', () => {
  const times = { cutMs: 2100, agentMs: 2200, statusAfter: 503 }

  test('passes within 5 s', () => {
    expect(judgeRevocation(times)).toEqual({
      outcome: 'passed',
      detail: 'Response in progress: cut after 2.1 s. Agent: ended after 2.2 s. Status of a later request: 503.',
    })
  })

  test.each([{ cutMs: 5001 }, { cutMs: undefined }, { agentMs: 5001 }, { agentMs: undefined }, { statusAfter: 200 }])(
    'fails with %o',
    (change) => {
      expect(judgeRevocation({ ...times, ...change }).outcome).toBe('failed')
    },
  )
})
