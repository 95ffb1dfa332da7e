/** Judges `HealthyHostCount`: whether the metric without a zone counts the nodes of all zones. The alarms take either way; the dashboard shows all series. */
import type { HealthyHosts } from './deployment.ts'
import { failed, notMeasurable, passed, type Verdict } from './verdict.ts'

export function judgeHealthyHosts({ nodes, all, zones }: HealthyHosts): Verdict {
  if (nodes < 2) return notMeasurable(`With ${nodes} running node a count by zone and a count of all are the same.`)
  if (all.length === 0) return notMeasurable('CloudWatch has no value of a time in which the same nodes were running.')
  const byZone = zones.map(({ zone, values }) => `${zone}: ${rangeOf(values)}`).join(', ') || 'no series by zone'
  const detail = `${nodes} nodes; minimum of all zones in ${all.length} minutes: ${rangeOf(all)} (${byZone}).`
  return all.every((value) => value === nodes) ? passed(detail) : failed(detail)
}

function rangeOf(values: readonly number[]): string {
  if (values.length === 0) return 'no value'
  const [least, most] = [Math.min(...values), Math.max(...values)]
  return least === most ? String(least) : `${least} to ${most}`
}
