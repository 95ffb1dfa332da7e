/** Alarms that say that a new version breaks requests: while one rings, ECS rolls the deployment back. Nobody is notified by them. */
import { TASK_METRIC } from '@postern/protocol/metrics'
import { Duration } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, Metric, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import type { Construct } from 'constructs'
import { faultsOf, ofTasks } from '../ops/metrics.ts'

/**
 * They belong to this stack and not to PosternOps, which is deployed later: the service names them at its creation. Missing data is good: at the first
 * deployment there is none, and a version whose tasks do not start is the circuit breaker's to roll back. Periods are minutes, because ECS watches
 * for as long as an alarm needs to ring. What somebody outside can bring about is none of them: a flood of tickets keeps the canary from an answer, too.
 */
export function deploymentAlarms(scope: Construct): Alarm[] {
  const perMinute = { statistic: Stats.SUM, period: Duration.minutes(1) }
  const common = {
    comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
    treatMissingData: TreatMissingData.NOT_BREACHING,
  }
  return [
    new Alarm(scope, 'DeploymentInternalErrors', {
      ...common,
      alarmName: 'Postern-DeploymentInternalErrors',
      alarmDescription:
        'Visitors are answered with internal-error: ECS rolls a deployment back. docs/runbook.md#deploymentinternalerrors',
      metric: new Metric({ ...faultsOf('internal-error'), ...perMinute }),
      // A fault that the version before has too must not undo its repair: a broken version answers most requests so.
      threshold: 10,
      evaluationPeriods: 2,
    }),
    new Alarm(scope, 'DeploymentHopsFail', {
      ...common,
      alarmName: 'Postern-DeploymentHopsFail',
      alarmDescription: 'Requests fail between tasks: ECS rolls a deployment back. docs/runbook.md#deploymenthopsfail',
      metric: new Metric({ ...ofTasks(TASK_METRIC.hopFailures), ...perMinute }),
      // A task that is replaced fails some for seconds; three minutes are longer than one task takes to drain.
      threshold: 100,
      evaluationPeriods: 3,
    }),
  ]
}
