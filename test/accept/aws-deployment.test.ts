import { CloudWatchClient } from '@aws-sdk/client-cloudwatch'
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs'
import { ECSClient } from '@aws-sdk/client-ecs'
import { describe, expect, test } from 'vitest'
import { AwsDeployment } from './aws-deployment.ts'

const AWS = { region: 'eu-central-1', credentials: { accessKeyId: 'none', secretAccessKey: 'none' } }
const NAMES = { region: AWS.region, cluster: 'postern', service: 'data', logGroup: 'tasks' }
const ARN = 'arn:aws:ecs:eu-central-1:123456789012:task/postern'
const { signal } = new AbortController()

type Input = Readonly<Record<string, unknown>>
interface Calls {
  /** Answers by the name of the call, in turn; the last one is repeated. */
  readonly [call: string]: readonly object[]
}

/** The real clients, answered before anything is sent. */
function deploymentOf(calls: Calls) {
  const sent: { call: string; input: Input }[] = []
  const clients = { ecs: new ECSClient(AWS), metrics: new CloudWatchClient(AWS), logs: new CloudWatchLogsClient(AWS) }
  for (const client of Object.values(clients)) {
    // The three clients differ in the types of what they send.
    const { middlewareStack } = client as ECSClient
    middlewareStack.add(
      (_next, { commandName = '' }) =>
        async ({ input }) => {
          const call = commandName.replace(/Command$/, '')
          const before = sent.filter((one) => one.call === call).length
          sent.push({ call, input: input as Input })
          const answers = calls[call]
          if (answers === undefined) throw new Error(`no answer for ${call}`)
          const output = { $metadata: {}, ...answers[Math.min(before, answers.length - 1)] }
          return { output: output as never, response: undefined }
        },
      { step: 'initialize' },
    )
  }
  return { deployment: new AwsDeployment(NAMES, clients), sent }
}

const task = (id: string, lastStatus: string, startedAt = new Date(0)) => ({
  ...{ taskArn: `${ARN}/${id}`, lastStatus, startedAt },
})
const deployments = (...states: (string | undefined)[]) => ({
  services: [
    {
      deployments: states.map((rolloutState, index) => ({ id: `deployment-${index}`, rolloutState })),
      loadBalancers: [
        { containerPort: 8080, targetGroupArn: 'arn:x:targetgroup/Visitors/1' },
        { containerPort: 7000, targetGroupArn: 'arn:x:targetgroup/Channel/2' },
      ],
    },
  ],
})
const UPDATED = { service: { deployments: [{ id: 'deployment-0', status: 'PRIMARY' }] } }
const running = (...ids: string[]) => ({ taskArns: ids.map((id) => `${ARN}/${id}`) })

describe('a replacement', () => {
  test('is over when the deployment is complete and the former tasks are stopped; DEACTIVATING is deregistration', async () => {
    const { deployment, sent } = deploymentOf({
      ListTasks: [running('a'), running('b')],
      UpdateService: [UPDATED],
      DescribeTasks: [{ tasks: [task('a', 'DEACTIVATING')] }, { tasks: [task('a', 'STOPPED')] }],
      DescribeServices: [deployments('COMPLETED')],
      FilterLogEvents: [
        {
          events: [
            { logStreamName: 'task/data-plane/a', message: '{"time":5,"msg":"stopping","why":"SIGTERM"}' },
            { logStreamName: 'task/data-plane/a', message: '{"time":9,"msg":"stopped"}' },
          ],
        },
      ],
    })
    const began = Date.now()
    expect(await deployment.replaceNodes(signal)).toEqual({ previous: ['a'], current: ['b'] })
    expect(sent.find(({ call }) => call === 'UpdateService')!.input).toEqual({
      ...{ cluster: 'postern', service: 'data', forceNewDeployment: true },
    })
    const [deregistered, ...logged] = await deployment.events(['a'], signal)
    expect(deregistered).toMatchObject({ node: 'a', kind: 'deregistered' })
    expect(deregistered!.at).toBeGreaterThanOrEqual(deregistered!.after)
    expect(deregistered!.after).toBeGreaterThanOrEqual(began)
    expect(logged).toEqual([
      { node: 'a', kind: 'sigterm', at: 5, after: 5 },
      { node: 'a', kind: 'stopped', at: 9, after: 9 },
    ])
    await deployment.stop()
  })

  test.each([
    ['is rolled back', deployments('FAILED')],
    ['is superseded', { services: [{ deployments: [] }] }],
  ])('that %s is an error', async (_what, described) => {
    const { deployment } = deploymentOf({
      ListTasks: [running('a')],
      UpdateService: [UPDATED],
      DescribeTasks: [{ tasks: [task('a', 'RUNNING')] }],
      DescribeServices: [described],
    })
    await expect(deployment.replaceNodes(signal)).rejects.toThrow('The deployment failed')
  })
})

describe('HealthyHostCount', () => {
  const series = (...zone: string[]) => ({
    Dimensions: [
      { Name: 'TargetGroup', Value: 'targetgroup/Channel/2' },
      ...zone.map((Value) => ({ Name: 'AvailabilityZone', Value })),
    ],
  })
  const calls = (startedAt: Date) => ({
    ListTasks: [running('a', 'b')],
    DescribeTasks: [{ tasks: [task('a', 'RUNNING'), task('b', 'RUNNING', startedAt)] }],
    DescribeServices: [deployments('COMPLETED')],
    ListMetrics: [{ Metrics: [series(), series('euc1-az1')] }],
    GetMetricData: [{ MetricDataResults: [{ Values: [2, 2] }] }, { MetricDataResults: [{ Values: [1, 1] }] }],
  })

  test('is read of the channel’s target group, in all and by zone', async () => {
    const { deployment, sent } = deploymentOf(calls(new Date(0)))
    expect(await deployment.healthyHosts(signal)).toEqual({
      ...{ nodes: 2, all: [2, 2], zones: [{ zone: 'euc1-az1', values: [1, 1] }] },
    })
    expect(sent.find(({ call }) => call === 'ListMetrics')!.input).toMatchObject({
      Dimensions: [{ Name: 'TargetGroup', Value: 'targetgroup/Channel/2' }],
    })
  })

  test('has no values of the minutes before the youngest node', async () => {
    const { deployment, sent } = deploymentOf(calls(new Date()))
    expect(await deployment.healthyHosts(signal)).toMatchObject({ all: [], zones: [{ values: [] }] })
    expect(sent.some(({ call }) => call === 'GetMetricData')).toBe(false)
  })
})

test('the node of a request is the task whose log stream has its id', async () => {
  const { deployment, sent } = deploymentOf({
    FilterLogEvents: [{ events: [{ logStreamName: 'task/data-plane/b', message: '…' }] }],
  })
  expect(await deployment.nodeOf('abc-01', signal)).toBe('b')
  expect(sent[0]!.input).toMatchObject({ logGroupName: 'tasks', filterPattern: '"abc-01"' })
})
