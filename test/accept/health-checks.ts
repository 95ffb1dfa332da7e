/** Judges health checks at a port other than the traffic port, of target groups with PROXY v2. */
import type { Flow } from './late-flows.ts'
import { failed, notMeasurable, passed, type Verdict } from './verdict.ts'

/**
 * A balancer sends new connections only to targets whose checks pass (to all of them if none passes, and then ECS ends the deployment).
 * @param hasHeader whether the checks are known to begin with a PROXY header
 */
export function judgeHealthChecks(nodes: readonly string[], flows: readonly Flow[], hasHeader: boolean): Verdict {
  if (nodes.length === 0) return notMeasurable('No new node was started.')
  if (!flows.some(({ node }) => node !== undefined))
    return notMeasurable('No log shows which node accepted a connection.')
  const without = nodes.filter((node) => !flows.some((flow) => flow.node === node))
  if (without.length > 0)
    return failed(
      `${without.length} of ${nodes.length} new nodes got no connection from the balancer: ${without.join(', ')}.`,
    )
  const header = hasHeader
    ? 'Their checks begin with a PROXY header.'
    : 'A node answers checks with and without a PROXY header; which of them the balancer sends is not visible from outside.'
  return passed(`All ${nodes.length} new nodes passed their checks and got connections from the balancer. ${header}`)
}
