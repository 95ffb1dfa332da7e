/** One page that shows how the service is. Knows nothing of thresholds. */
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
  SingleValueWidget,
} from 'aws-cdk-lib/aws-cloudwatch'
import type { Construct } from 'constructs'
import type { Watched } from './watched.ts'

/** Columns of CloudWatch's grid. */
const FULL = 24
const HALF = FULL / 2

const graph = (title: string, left: IMetric[], right: IMetric[] = []) =>
  new GraphWidget({ title, left, right, width: HALF, height: 6, leftYAxis: { min: 0 }, rightYAxis: { min: 0 } })

export function dashboard(scope: Construct, { on, alarms }: { on: Watched; alarms: readonly Alarm[] }): Dashboard {
  return new Dashboard(scope, 'Dashboard', {
    dashboardName: 'Postern',
    widgets: [
      [new AlarmStatusWidget({ title: 'Alarms', alarms: [...alarms], width: FULL, height: 3 })],
      [
        new SingleValueWidget({
          title: 'Now',
          metrics: [on.tunnels, on.healthyTasks.series[0]!, on.flows, on.requests, on.ticketsIssued],
          width: FULL,
          height: 3,
        }),
      ],
      [
        graph('Tunnels', [on.tunnels, on.tunnelsPerTask], [...on.healthyTasks.series, ...on.unhealthyTasks.series]),
        graph('Tasks', [on.cpu, on.memory]),
      ],
      [
        graph('Requests', [on.requests, on.activeStreams], [on.faults, on.linesDropped]),
        graph('Through the channels', [on.bytesIn, on.bytesOut], [on.heldBytes]),
      ],
      [
        graph('Openings', [on.openings, on.openingsRefused], [on.openingLatency]),
        graph('Tickets', [on.ticketsIssued], [on.refusals]),
      ],
      [graph('Agents that move', [on.agentsMoved], [on.drainTime]), graph('Requests that wait', [on.held, on.retried])],
      [
        graph('Between tasks', [on.hops, on.hopFailures, on.lookups], [on.hopShare]),
        graph('Leases', [on.leaseAge], on.healthyTasks.series),
      ],
      [
        graph('Connections', [on.flows, on.newFlows], [on.bytes]),
        graph('Control plane', [on.apiCalls, on.apiClientErrors, on.apiServerErrors], [on.ticketLatency]),
      ],
      [
        graph('Function', [on.functionErrors, on.functionThrottles]),
        graph('Table', [on.tableReads, on.tableWrites], [on.tableThrottles]),
      ],
      ...(on.canary ? [[graph('Canary', [on.canary.time], [on.canary.answered])]] : []),
    ],
  })
}
