/** What wakes somebody, and from which value on. Each has a heading of its name in docs/runbook.md. Knows nothing of who is woken. */
import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch'
import type { Construct } from 'constructs'
import type { Config } from '../config.ts'
import type { Watched } from './watched.ts'

interface Rule {
  readonly name: string
  /** One sentence, for a mail that is read at night. */
  readonly says: string
  readonly metric: IMetric
  readonly when: '>' | '>=' | '<'
  readonly value: number
  /** Periods of the metric: in a row, or among so many. */
  readonly periods: number
  readonly among?: number
  /** What missing data means: nothing to complain of by default, because most metrics exist only while something happens. */
  readonly missing?: TreatMissingData
}

const COMPARISON = {
  '>': ComparisonOperator.GREATER_THAN_THRESHOLD,
  '>=': ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
  '<': ComparisonOperator.LESS_THAN_THRESHOLD,
} as const

/** ACM renews 60 days before the end: at 30 it has failed for a month, and there is a month left. */
const CERTIFICATE_DAYS = 30

function rules(on: Watched, { mostTasks, taskCount, taskCpu, accessLog }: Config): Rule[] {
  const tunnels = (1000 * taskCpu) / 1024
  return [
    {
      name: 'NoHealthyTask',
      says: 'No task of the data plane answers: every tunnel is down.',
      metric: on.healthyTasks.greatest,
      when: '<',
      value: 1,
      // The balancer's values come up to two minutes late, and are nought until then: two minutes more than these.
      periods: 4,
      // Nothing is recorded where no target is registered.
      missing: TreatMissingData.BREACHING,
    },
    {
      name: 'TasksSilent',
      says: 'No task has reported for five minutes: alarms about tasks have nothing to ring by.',
      metric: on.taskReports,
      when: '<',
      value: 1,
      periods: 5,
      // A task without tunnels reports too.
      missing: TreatMissingData.BREACHING,
    },
    {
      name: 'UnhealthyTask',
      says: 'A task has not been ready for ten minutes; ECS should have replaced it.',
      metric: on.unhealthyTasks.greatest,
      when: '>=',
      value: 1,
      periods: 10,
    },
    {
      name: 'TasksFull',
      says: 'Tasks hold a fifth more tunnels than they are sized for, and scaling does not keep up.',
      metric: on.tunnelsPerTask,
      when: '>',
      value: 1.2 * tunnels,
      periods: 15,
    },
    ...(mostTasks > taskCount
      ? [
          {
            name: 'MostTasksReached',
            says: `All ${mostTasks} tasks that scaling may start are running.`,
            metric: on.reportingTasks,
            when: '>=',
            // A report that falls into the next five minutes is not a task less.
            value: mostTasks - 0.5,
            periods: 3,
          } as const,
        ]
      : []),
    {
      name: 'TaskCpuHigh',
      says: 'Tasks use more than 85 % of their processor for 15 minutes: requests wait.',
      metric: on.cpu,
      when: '>',
      value: 85,
      periods: 3,
    },
    {
      name: 'TaskMemoryHigh',
      says: 'A task uses more than 90 % of its memory for 15 minutes.',
      metric: on.memory,
      when: '>',
      value: 90,
      periods: 3,
    },
    {
      name: 'HopsFail',
      says: 'More than 100 requests in five minutes came to nothing on their way from one task to another.',
      metric: on.hopFailures,
      when: '>',
      value: 100,
      periods: 2,
    },
    {
      name: 'RequestsHeld',
      says: 'More than 1,000 requests in five minutes waited for agents that were away.',
      metric: on.held,
      when: '>',
      value: 1000,
      periods: 2,
    },
    {
      name: 'RequestsRetried',
      says: 'More than 1,000 requests in five minutes had to be sent again: channels or local servers go as requests come.',
      metric: on.retried,
      when: '>',
      value: 1000,
      periods: 2,
    },
    {
      name: 'LeaseLate',
      says: 'A task could not renew its lease for a quarter of a minute: others soon take its tunnels for lost.',
      metric: on.leaseAge,
      when: '>',
      value: 15_000,
      periods: 3,
    },
    {
      name: 'VisitorsTurnedAway',
      says: 'A task has as many visitors as it may, and answers further ones with 503.',
      metric: on.visitorsExhausted,
      when: '>',
      value: 0,
      periods: 2,
    },
    {
      name: 'InternalErrors',
      says: 'Visitors are answered with internal-error: a defect of the data plane.',
      metric: on.internalErrors,
      when: '>',
      value: 0,
      periods: 1,
    },
    ...(accessLog === 'off'
      ? []
      : [
          {
            name: 'AccessLogDropped',
            says: 'A task drops lines of the access log: its standard output does not take them in time.',
            metric: on.linesDropped,
            when: '>',
            value: 0,
            periods: 2,
          } as const,
        ]),
    {
      name: 'OpeningsPutOff',
      says: 'More than 100 channels in five minutes are put off: the tasks are busy, or the table does not answer them.',
      metric: on.openingsBusy,
      when: '>',
      value: 100,
      periods: 2,
    },
    {
      name: 'OpeningsSlow',
      says: 'One channel in a hundred takes more than five seconds to open, for 15 minutes.',
      metric: on.openingLatency,
      when: '>',
      value: 5000,
      periods: 3,
    },
    {
      name: 'DrainLate',
      says: 'A task took more than 112 seconds to stop; at 120 it is killed.',
      metric: on.drainTime,
      when: '>',
      value: 112_000,
      periods: 1,
    },
    {
      name: 'BalancerOutOfPorts',
      says: 'The balancer has no port left towards the tasks: new connections fail.',
      metric: on.portErrors,
      when: '>',
      value: 0,
      periods: 1,
    },
    {
      name: 'ApiServerErrors',
      says: 'The control plane answers 5xx: agents get no tickets. Open tunnels stay.',
      metric: on.apiServerErrors,
      when: '>=',
      value: 10,
      periods: 2,
    },
    {
      name: 'FunctionErrors',
      says: "The control plane's function fails or runs out of time.",
      metric: on.functionErrors,
      when: '>=',
      value: 3,
      periods: 2,
    },
    {
      name: 'FunctionThrottled',
      says: "Lambda turns calls away: the account's concurrency is used up.",
      metric: on.functionThrottles,
      when: '>',
      value: 0,
      periods: 2,
    },
    {
      name: 'TicketsSlow',
      says: 'One ticket in a hundred takes more than two seconds, for 15 minutes.',
      metric: on.ticketLatency,
      when: '>',
      value: 2000,
      periods: 3,
    },
    {
      name: 'FailedAuthentications',
      says: 'More than 500 calls in five minutes came with bad tokens from addresses that are over their limit.',
      metric: on.failedAuthentications,
      when: '>',
      value: 500,
      periods: 1,
    },
    {
      name: 'TableThrottled',
      says: 'DynamoDB turns calls away: a partition or the account is at its limit.',
      metric: on.tableThrottles,
      when: '>',
      value: 10,
      periods: 2,
    },
    ...(on.canary
      ? [
          {
            name: 'CanaryUnanswered',
            says: 'The canary was not answered in three of five minutes: the service does not work from outside.',
            metric: on.canary.answered,
            when: '<',
            value: 1,
            periods: 3,
            among: 5,
            // It reports each knock, answered or not: silence means that it does not run.
            missing: TreatMissingData.BREACHING,
          } as const,
        ]
      : []),
    ...(on.certificateDays
      ? [
          {
            name: 'CertificateExpires',
            says: `The certificate ends in less than ${CERTIFICATE_DAYS} days and was not renewed.`,
            metric: on.certificateDays,
            when: '<',
            value: CERTIFICATE_DAYS,
            periods: 1,
            // ACM says nothing before the first day is over, and nothing any more of an expired certificate: the alarm must not end then.
            missing: TreatMissingData.IGNORE,
          } as const,
        ]
      : []),
  ]
}

export interface AlarmsProps {
  readonly on: Watched
  readonly config: Config
  readonly action: IAlarmAction
}

export const alarms = (scope: Construct, { on, config, action }: AlarmsProps): Alarm[] =>
  rules(on, config).map(({ name, says, metric, when, value, periods, among, missing }) => {
    const alarm = new Alarm(scope, name, {
      alarmName: `Postern-${name}`,
      alarmDescription: `${says} docs/runbook.md#${name.toLowerCase()}`,
      metric,
      comparisonOperator: COMPARISON[when],
      threshold: value,
      evaluationPeriods: among ?? periods,
      ...(among !== undefined && { datapointsToAlarm: periods }),
      treatMissingData: missing ?? TreatMissingData.NOT_BREACHING,
    })
    alarm.addAlarmAction(action)
    alarm.addOkAction(action)
    return alarm
  })
