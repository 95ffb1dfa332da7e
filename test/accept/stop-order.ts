/** Judges the order of deregistration and SIGTERM: docs/decisions/0005 assumes that the balancer forgets a node before the node stops. */
import type { NodeEvent } from './deployment.ts'
import { failed, notMeasurable, passed, seconds, type Verdict } from './verdict.ts'

export function judgeStopOrder(nodes: readonly string[], events: readonly NodeEvent[]): Verdict {
  const gaps: number[] = []
  const wrong: string[] = []
  const unclear: string[] = []
  for (const node of nodes) {
    const deregistered = eventOf(events, node, 'deregistered')
    const sigterm = eventOf(events, node, 'sigterm')
    if (!sigterm || !deregistered) unclear.push(`${node}: no ${sigterm ? 'deregistration' : 'SIGTERM'} was observed`)
    else if (sigterm.at <= deregistered.after)
      wrong.push(`${node}: SIGTERM ${seconds(deregistered.at - sigterm.at)} before`)
    else if (sigterm.at < deregistered.at) unclear.push(`${node}: both within one poll`)
    else gaps.push(sigterm.at - deregistered.at)
  }
  if (wrong.length > 0) return failed(`SIGTERM came before deregistration. ${wrong.join('; ')}.`)
  if (unclear.length > 0) return notMeasurable(`${unclear.join('; ')}.`)
  if (gaps.length === 0) return notMeasurable('No node was replaced.')
  return passed(
    `${gaps.length} nodes; SIGTERM came ${seconds(Math.min(...gaps))} to ${seconds(Math.max(...gaps))} after deregistration.`,
  )
}

export const eventOf = (events: readonly NodeEvent[], node: string, kind: NodeEvent['kind']): NodeEvent | undefined =>
  events.find((event) => event.node === node && event.kind === kind)
