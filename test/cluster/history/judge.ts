/** Finds in a history what must never be: epochs that fall, a request served by an owner of the past, a ticket used twice, a POST delivered twice. Knows nothing of how the history came about. */
import type { Asked, Claimed, Delivered, HistoryEvent } from './history.ts'

export interface Violation {
  readonly rule: 'epochs rise' | 'no owner of the past serves' | 'a ticket works once' | 'a POST is delivered once'
  readonly what: string
}

export interface JudgeOptions {
  /**
   * Within this time a task that is awake hears that another agent has taken a name from one of its own, and has ended what that one answered; milliseconds,
   * 0 unless told. An agent's own next channel is known at once.
   */
  readonly heardWithinMs?: number
}

/** Whatever breaks a rule, in the order of the rules; empty for a history in which nothing did. */
export function judge(events: readonly HistoryEvent[], { heardWithinMs = 0 }: JudgeOptions = {}): Violation[] {
  const of = <Kind extends HistoryEvent['kind']>(kind: Kind) =>
    events.filter((event) => event.kind === kind) as Extract<HistoryEvent, { kind: Kind }>[]
  const claims = of('claimed')
  return [
    ...fallingEpochs(claims),
    ...servedByThePast(claims, of('asked'), heardWithinMs),
    ...twice(claims, (claim) => claim.ticket).map(([ticket, uses]) => ({
      rule: 'a ticket works once' as const,
      what: `ticket ${ticket} opened ${uses.map(({ name, task, epoch }) => `${name} on ${task} (epoch ${epoch})`).join(' and ')}`,
    })),
    ...twice(of('delivered').filter(isPost), (delivery) => delivery.id).map(([id, times]) => ({
      rule: 'a POST is delivered once' as const,
      what: `${id} was delivered ${times.length} times, by ${times.map(({ owner }) => owner?.task ?? 'somebody').join(' and ')}`,
    })),
  ]
}

const isPost = ({ method }: Delivered): boolean => method === 'POST'

/** A claim is made between dialling and welcome: of two that overlap either may be the later one, but never carry both one epoch. */
function fallingEpochs(claims: readonly Claimed[]): Violation[] {
  const violations: Violation[] = []
  for (const [name, ofName] of byKey(claims, (claim) => claim.name)) {
    for (const [epoch, same] of twice(ofName, (claim) => claim.epoch))
      violations.push(fell(name, `epoch ${epoch} went to ${same.map(({ task }) => task).join(' and ')}`))
    for (const claim of ofName) {
      const before = ofName.find(({ at, epoch }) => at < claim.begun && epoch > claim.epoch)
      if (before)
        violations.push(
          fell(name, `epoch ${claim.epoch} of ${claim.task} came after ${before.epoch} of ${before.task}`),
        )
    }
  }
  return violations
}

const fell = (name: string, how: string): Violation => ({ rule: 'epochs rise', what: `${name}: ${how}` })

/** A request is begun before it is served and a claim is made before it is heard of: whoever is found here was of the past in any case. */
function servedByThePast(claims: readonly Claimed[], asked: readonly Asked[], heardWithinMs: number): Violation[] {
  const claimsOf = byKey(claims, (claim) => claim.name)
  return asked.flatMap(({ id, name, owner, begun, ended, entry }) => {
    if (!owner) return []
    const ofName = claimsOf.get(name) ?? []
    const agent = ofName.find(({ epoch }) => epoch === owner.epoch)?.agent
    const unheard = (claim: Claimed): boolean =>
      agent !== undefined && claim.agent !== agent && ended <= claim.at + heardWithinMs
    const later = ofName.find((claim) => claim.epoch > owner.epoch && claim.at < begun && !unheard(claim))
    if (!later) return []
    const what =
      `${id} for ${name}, begun at ${begun.toFixed(1)} on ${entry}, was served by ${owner.task} of epoch ${owner.epoch}, ` +
      `but ${later.task} had epoch ${later.epoch} since ${later.at.toFixed(1)}`
    return [{ rule: 'no owner of the past serves', what }]
  })
}

function twice<Event, Key>(events: readonly Event[], keyOf: (event: Event) => Key): [Key, Event[]][] {
  return [...byKey(events, keyOf)].filter(([, same]) => same.length > 1)
}

function byKey<Event, Key>(events: readonly Event[], keyOf: (event: Event) => Key): Map<Key, Event[]> {
  const groups = new Map<Key, Event[]>()
  for (const event of events) {
    const group = groups.get(keyOf(event))
    if (group) group.push(event)
    else groups.set(keyOf(event), [event])
  }
  return groups
}
