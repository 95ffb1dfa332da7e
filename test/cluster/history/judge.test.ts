import { expect, test } from 'vitest'
import type { Asked, Claimed, Delivered, HistoryEvent } from './history.ts'
import { judge, type Violation } from './judge.ts'

const NAMES = ['blue', 'green', 'red']
const SECONDS = 60

/** A minute as it should be: names move from task to task, requests are served by whoever has the name, each POST is delivered once. */
function goodHistory(): HistoryEvent[] {
  const events: HistoryEvent[] = []
  for (const name of NAMES) {
    for (let second = 0; second < SECONDS; second += 1) {
      const owner = { task: `task-${second % 3}`, epoch: 1_000_000 + second }
      const at = second * 1000
      events.push({ kind: 'claimed', begun: at - 5, at, name, agent: name, ticket: `${name}-${second}`, ...owner })
      for (let request = 0; request < 20; request += 1) {
        const begun = at + 10 + request * 49
        const id = `${name}-${second}-${request}`
        const method = request % 5 === 0 ? 'POST' : 'GET'
        events.push({ kind: 'delivered', at: begun + 1, id, method, owner })
        const asked = { id, method, name, client: 'a', entry: 'task-1', outcome: 'ok' }
        events.push({ kind: 'asked', begun, ended: begun + 2, owner, ...asked })
      }
    }
  }
  return events
}

const find = <Event extends HistoryEvent>(events: HistoryEvent[], match: (event: HistoryEvent) => boolean): Event => {
  const found = events.find(match)
  if (!found) throw new Error('the history does not have it')
  return found as Event
}
const claimOf = (events: HistoryEvent[], name: string, second: number): Claimed =>
  find(events, (event) => event.kind === 'claimed' && event.ticket === `${name}-${second}`)
const askedFor = (events: HistoryEvent[], id: string): Asked =>
  find(events, (event) => event.kind === 'asked' && event.id === id)

test('a history in which nothing went wrong is blameless', () => {
  expect(judge(goodHistory())).toEqual([])
})

test('a request that was begun before the name moved, and was served by the old owner, is blameless', () => {
  const events = goodHistory()
  const asked = askedFor(events, 'red-7-19')
  const late = { ...asked, begun: 7999.9, ended: 9500, id: 'late' }
  expect(judge([...events, late])).toEqual([])
})

/** A request that the agent of `red` serves although its name was taken before it began. */
function servedAfter(taker: string, endedAfterMs: number): HistoryEvent[] {
  const events = goodHistory()
  const claim = claimOf(events, 'red', 59)
  const taken = { ...claim, begun: claim.at + 1100, at: claim.at + 1200, agent: taker, epoch: claim.epoch + 1 }
  const { task, epoch } = claim
  const times = { begun: taken.at + 100, ended: taken.at + endedAfterMs }
  return [
    ...events,
    { ...taken, ticket: 'taken' },
    { ...askedFor(events, 'red-59-1'), ...times, id: 'late', owner: { task, epoch } },
  ]
}

test('a name that another agent has taken may be served by the former until its task has heard of it, and no longer', () => {
  const rules = (history: HistoryEvent[]) => judge(history, { heardWithinMs: 500 }).map(({ rule }) => rule)
  expect(rules(servedAfter('somebody else', 499))).toEqual([])
  expect(rules(servedAfter('somebody else', 501))).toEqual(['no owner of the past serves'])
  expect(rules(servedAfter('red', 200))).toEqual(['no owner of the past serves'])
})

test('of two claims that were under way at once, either may be heard of first', () => {
  const events = goodHistory()
  const claim = claimOf(events, 'red', 59)
  events.push({ ...claim, begun: claim.begun, at: claim.at + 1, epoch: claim.epoch - 0.5, ticket: 'another' })
  expect(judge(events)).toEqual([])
})

test('the order in which events were logged does not matter', () => {
  expect(judge(goodHistory().reverse())).toEqual([])
})

const PLANTED: readonly [name: string, rule: Violation['rule'], plant: (events: HistoryEvent[]) => void][] = [
  [
    'an epoch that falls',
    'epochs rise',
    (events) => {
      const claim = claimOf(events, 'green', 30)
      events.push({
        ...claim,
        begun: claim.at + 490,
        at: claim.at + 500,
        epoch: claim.epoch - 1.5,
        task: 'task-9',
        ticket: 'another',
      })
    },
  ],
  [
    'an epoch that two tasks have',
    'epochs rise',
    (events) => {
      const claim = claimOf(events, 'green', 30)
      events.push({ ...claim, at: claim.at + 1, task: 'task-9', ticket: 'another' })
    },
  ],
  [
    'a request that an owner of the past served',
    'no owner of the past serves',
    (events) => {
      const asked = askedFor(events, 'blue-41-7')
      const { task, epoch } = claimOf(events, 'blue', 40)
      events[events.indexOf(asked)] = { ...asked, owner: { task, epoch } }
    },
  ],
  [
    'a ticket that opened two channels',
    'a ticket works once',
    (events) => {
      const claim = claimOf(events, 'red', 50)
      events[events.indexOf(claim)] = { ...claim, ticket: 'blue-12' }
    },
  ],
  [
    'a POST that was delivered twice',
    'a POST is delivered once',
    (events) => {
      const delivered: Delivered = find(events, (event) => event.kind === 'delivered' && event.id === 'blue-3-5')
      events.push({ ...delivered, at: delivered.at + 3000, owner: { task: 'task-2', epoch: 9 } })
    },
  ],
]

test.each(PLANTED)('finds %s, and nothing else', (_, rule, plant) => {
  const events = goodHistory()
  plant(events)
  const found = judge(events)
  expect(found.map((violation) => violation.rule)).toEqual([rule])
})

test('a GET that was delivered twice is nobody’s fault', () => {
  const events = goodHistory()
  const delivered: Delivered = find(events, (event) => event.kind === 'delivered' && event.id === 'blue-3-6')
  events.push({ ...delivered, at: delivered.at + 3000 })
  expect(judge(events)).toEqual([])
})
