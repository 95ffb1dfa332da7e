/** Judges new flows after deregistration: docs/decisions/0005 assumes that a node lives longer than the balancer sends it new flows. */
import type { NodeEvent } from './deployment.ts'
import { eventOf } from './stop-order.ts'
import { failed, notMeasurable, passed, seconds, type Verdict } from './verdict.ts'

/** One request on a connection of its own. */
export interface Flow {
  readonly at: number
  /** The node that accepted the connection. Undefined: the request failed, or no log has its id. */
  readonly node: string | undefined
  /** Why the request failed; undefined: the node answered. */
  readonly failure: string | undefined
}

export function judgeLateFlows(
  nodes: readonly string[],
  events: readonly NodeEvent[],
  flows: readonly Flow[],
): Verdict {
  const failures = flows.flatMap(({ failure }) => failure ?? [])
  if (failures.length > 0)
    return failed(`${failures.length} of ${flows.length} new connections failed: ${[...new Set(failures)].join(', ')}.`)
  if (!flows.some(({ node }) => node !== undefined && nodes.includes(node)))
    return notMeasurable('No log shows a new connection at a node that was replaced.')
  const latest: number[] = []
  const left: number[] = []
  let count = 0
  for (const node of nodes) {
    const deregistered = eventOf(events, node, 'deregistered')
    const stopped = eventOf(events, node, 'stopped')
    if (!deregistered || !stopped)
      return notMeasurable(`${node}: no ${deregistered ? 'end' : 'deregistration'} was observed.`)
    const late = flows.filter((flow) => flow.node === node && flow.at > deregistered.at)
    count += late.length
    const last = Math.max(deregistered.at, ...late.map(({ at }) => at))
    latest.push(last - deregistered.at)
    left.push(stopped.at - last)
  }
  return passed(
    `None of ${flows.length} new connections failed. ${count} came to a node after its deregistration, the last one ` +
      `${seconds(Math.max(...latest))} after. The node that stopped soonest stopped ${seconds(Math.min(...left))} after its last one.`,
  )
}
