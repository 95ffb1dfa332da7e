import { readFileSync } from 'node:fs'
import { CANARY_KNOCK_MS } from '@postern/protocol/limits'
import { CANARY_METRIC, CONTROL_METRIC, TASK_METRIC } from '@postern/protocol/metrics'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { describe, expect, test } from 'vitest'
import { appOf, CONTEXTS, onlyProperties, synthesised } from './testing/synthesised.ts'

const RUNBOOK = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8')
const plain = synthesised('no context').template.ops
const fullest = synthesised('dual stack and everything else').template.ops

interface AlarmProperties {
  readonly AlarmName: string
  readonly AlarmDescription: string
  readonly AlarmActions: unknown[]
  readonly OKActions: unknown[]
  readonly TreatMissingData: string
  readonly Metrics?: readonly {
    readonly Id: string
    readonly ReturnData: boolean
    readonly Expression?: string
    readonly MetricStat?: {
      readonly Metric: { readonly MetricName: string; readonly Dimensions: readonly { readonly Name: string }[] }
      readonly Stat: string
    }
  }[]
}
const alarmsOf = (context: (typeof CONTEXTS)[number], stack: 'ops' | 'data' = 'ops'): AlarmProperties[] =>
  Object.values(synthesised(context).template[stack].findResources('AWS::CloudWatch::Alarm')).map(
    ({ Properties }) => Properties,
  )
const byName = (alarms: AlarmProperties[]) => new Map(alarms.map((alarm) => [alarm.AlarmName, alarm]))
const ALARMS = byName(CONTEXTS.flatMap((context) => alarmsOf(context)))
/** Those that ECS alone watches, while it deploys. */
const OF_DEPLOYMENTS = byName(CONTEXTS.flatMap((context) => alarmsOf(context, 'data')))

describe('the alarms', () => {
  test('have each a heading in the runbook, and no heading there has lost its alarm', () => {
    const section = /^## Alarms$(.*?)^## /ms.exec(RUNBOOK)![1]!
    const headings = [...section.matchAll(/^### (\w+)$/gm)].map(([, name]) => `Postern-${name}`)
    expect([...ALARMS.keys(), ...OF_DEPLOYMENTS.keys()].sort()).toEqual([...headings].sort())
  })

  test.each([...ALARMS.values(), ...OF_DEPLOYMENTS.values()])(
    '$AlarmName says a sentence and where to read on',
    ({ AlarmName, AlarmDescription }) => {
      const heading = AlarmName.replace('Postern-', '').toLowerCase()
      expect(AlarmDescription).toMatch(new RegExp(`^[A-Z].{20,}\\. docs/runbook\\.md#${heading}$`))
    },
  )

  test('tell the topic when they begin and when they are over', () => {
    for (const { AlarmActions, OKActions } of ALARMS.values()) {
      expect(AlarmActions).toHaveLength(1)
      expect(OKActions).toEqual(AlarmActions)
    }
  })

  test('take missing data for good, except of what is never missing: healthy targets, reports of tasks, knocks', () => {
    const not = [...ALARMS.values()].filter(({ TreatMissingData }) => TreatMissingData !== 'notBreaching')
    expect(Object.fromEntries(not.map(({ AlarmName, TreatMissingData }) => [AlarmName, TreatMissingData]))).toEqual({
      'Postern-NoHealthyTask': 'breaching',
      'Postern-TasksSilent': 'breaching',
      'Postern-CanaryUnanswered': 'breaching',
      // ACM reports nothing of a new certificate on its first day, nor of an expired one.
      'Postern-CertificateExpires': 'ignore',
    })
  })

  test.each(['without the zone', 'with the zone'])(
    'count healthy targets where the balancer records them %s alone',
    (recorded) => {
      const { Metrics } = ALARMS.get('Postern-NoHealthyTask')!
      const { Expression } = Metrics!.find(({ ReturnData }) => ReturnData)!
      const series = new Map(Metrics!.flatMap(({ Id, MetricStat }) => (MetricStat ? [[Id, MetricStat] as const] : [])))
      expect(series.size).toBe(3)
      /** As CloudWatch computes it: what is not recorded is filled with nought. */
      const healthy = (counts: readonly number[]) => {
        const [, terms] = /^MAX\(\[(.+)\]\)$/.exec(Expression!)!
        const left = [...counts]
        const values = terms!.split(/, (?=FILL)/).map((term) => {
          const [, id, fill] = /^FILL\((\w+), (\d)\)$/.exec(term)!
          const { Metric, Stat } = series.get(id!)!
          expect([Metric.MetricName, Stat]).toEqual(['HealthyHostCount', 'Maximum'])
          const names = Metric.Dimensions.map(({ Name }) => Name).sort()
          const zone = names.includes('AvailabilityZone') ? 'with the zone' : 'without the zone'
          expect(names.filter((name) => name !== 'AvailabilityZone')).toEqual(['LoadBalancer', 'TargetGroup'])
          return zone === recorded ? (left.shift() ?? 0) : Number(fill)
        })
        return Math.max(...values)
      }
      expect(healthy([0, 0])).toBe(0)
      expect(healthy([2])).toBe(2)
      expect(healthy(recorded === 'with the zone' ? [0, 1] : [1])).toBe(1)
    },
  )

  test('watch a certificate only where there is one, and the end of scaling only where there is room to scale', () => {
    const names = (context: (typeof CONTEXTS)[number]) => alarmsOf(context).map(({ AlarmName }) => AlarmName)
    expect(names('no context')).toContain('Postern-MostTasksReached')
    expect(names('no context')).not.toContain('Postern-CertificateExpires')
    expect(names('a domain')).toContain('Postern-MostTasksReached')
    expect(names('dual stack and everything else')).toContain('Postern-CertificateExpires')
    expect(names('dual stack and everything else')).not.toContain('Postern-MostTasksReached')
  })

  test('count the tasks of scaling by their reports, one a minute, and not by the balancer', () => {
    plain.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'Postern-MostTasksReached',
      Threshold: 9.5,
      Metrics: Match.arrayWith([
        Match.objectLike({ Expression: 'reports / 5' }),
        Match.objectLike({ MetricStat: Match.objectLike({ Period: 300, Stat: 'SampleCount' }) }),
      ]),
    })
  })

  test('measure fullness against the size of the task', () => {
    const threshold = (template: typeof plain) =>
      template.hasResourceProperties.bind(template, 'AWS::CloudWatch::Alarm')
    threshold(plain)({ AlarmName: 'Postern-TasksFull', Threshold: 300 })
    threshold(fullest)({ AlarmName: 'Postern-TasksFull', Threshold: 1200 })
  })
})

test('what the runbook asks of the stacks is among their outputs', () => {
  const { state, control, data, ops } = synthesised('dual stack and everything else').template
  const stacks = { PosternState: state, PosternControl: control, PosternData: data, PosternOps: ops }
  const asked = [...RUNBOOK.matchAll(/\$\(output (Postern\w+) (\w+)\)/g)]
  expect(asked.length).toBeGreaterThan(5)
  for (const [, stack, name] of asked) stacks[stack as keyof typeof stacks].hasOutput(name!, {})
})

describe('the canary', () => {
  const FUNCTION = 'AWS::Lambda::Function'

  test('is there only with a token: without one nothing knocks, and no alarm waits for it', () => {
    plain.resourceCountIs(FUNCTION, 0)
    plain.resourceCountIs('AWS::Events::Rule', 0)
    const ofCanary = (context: (typeof CONTEXTS)[number]) =>
      [...alarmsOf(context), ...alarmsOf(context, 'data')]
        .map(({ AlarmName }) => AlarmName)
        .filter((name) => /nanswered/.test(name))
    expect(ofCanary('no context')).toEqual([])
    // No deployment is rolled back for it: a flood of tickets from outside keeps it from an answer, too.
    expect(ofCanary('dual stack and everything else')).toEqual(['Postern-CanaryUnanswered'])
  })

  test('is a function in no network of ours: it comes from outside, as agents and visitors do', () => {
    fullest.resourceCountIs(FUNCTION, 1)
    fullest.hasResourceProperties(FUNCTION, {
      Runtime: 'nodejs24.x',
      Architectures: ['arm64'],
      VpcConfig: Match.absent(),
      Environment: {
        Variables: {
          POSTERN_CANARY_SERVER: 'https://tunnel.example.com',
          POSTERN_CANARY_SECRET_ARN: Match.anyValue(),
        },
      },
    })
    fullest.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 30 })
  })

  test('has more time than a knock takes, and less than the minute until the next one', () => {
    const { Timeout } = onlyProperties(fullest, FUNCTION)
    expect(Number(Timeout) * 1000).toBeGreaterThan(CANARY_KNOCK_MS)
    expect(Timeout).toBeLessThan(60)
  })

  test('knocks once a minute, and a knock that came to nothing is not made up for', () => {
    fullest.hasResourceProperties('AWS::Events::Rule', {
      ScheduleExpression: 'rate(1 minute)',
      State: 'ENABLED',
      Targets: [Match.objectLike({ RetryPolicy: { MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60 } })],
    })
  })

  test('rings when three of five minutes were not answered, or not knocked in', () => {
    fullest.hasResourceProperties('AWS::CloudWatch::Alarm', {
      AlarmName: 'Postern-CanaryUnanswered',
      Metrics: [
        Match.objectLike({
          MetricStat: { Metric: Match.objectLike({ MetricName: 'CanaryAnswered' }), Stat: 'Minimum', Period: 60 },
        }),
      ],
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      DatapointsToAlarm: 3,
      EvaluationPeriods: 5,
    })
  })

  test('without a domain knocks at the address of the API', () => {
    const { app, stacks } = appOf({ canaryToken: 'postern/canary' })
    const ops = Template.fromJSON(app.synth().getStackByName(stacks.ops.stackName).template)
    const { Environment } = onlyProperties(ops, FUNCTION) as { Environment: { Variables: Record<string, unknown> } }
    expect(JSON.stringify(Environment.Variables.POSTERN_CANARY_SERVER)).toMatch(/PosternControl:.*ApiEndpoint/)
  })
})

describe('the topic', () => {
  test('is told to the address of the context, and to nobody without one', () => {
    fullest.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'ops@example.com' })
    plain.resourceCountIs('AWS::SNS::Subscription', 0)
  })

  test("lets the account's alarms in: a policy that asks for TLS has replaced the one that did", () => {
    plain.hasResourceProperties('AWS::SNS::TopicPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Effect: 'Allow',
            Action: 'sns:Publish',
            Principal: { Service: 'cloudwatch.amazonaws.com' },
            Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
          }),
        ]),
      },
    })
  })
})

describe('the dashboard', () => {
  /** The API's own metrics show the same. */
  const UNSEEN: ReadonlySet<string> = new Set([CONTROL_METRIC.calls.name])
  const body = JSON.stringify(plain.findResources('AWS::CloudWatch::Dashboard'))

  test.each([
    ...Object.values({ ...TASK_METRIC, ...CONTROL_METRIC }).flatMap(({ name }) => (UNSEEN.has(name) ? [] : [name])),
    '5xx',
    'HealthyHostCount',
    'CPUUtilization',
    'ReadThrottleEvents',
  ])('shows %s', (metric) => {
    expect(body).toContain(metric)
  })

  test('shows the canary where there is one', () => {
    const full = JSON.stringify(fullest.findResources('AWS::CloudWatch::Dashboard'))
    for (const { name } of Object.values(CANARY_METRIC)) {
      expect(full).toContain(name)
      expect(body).not.toContain(name)
    }
  })

  test('is found by an output', () => {
    plain.hasOutput('DashboardUrl', {})
  })
})
