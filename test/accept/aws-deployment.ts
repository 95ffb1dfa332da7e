/** The deployment in an AWS account: ECS replaces the nodes, CloudWatch has their logs and the balancer's metrics. */
import { setTimeout as delay } from 'node:timers/promises'
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation'
import { CloudWatchClient, GetMetricDataCommand, paginateListMetrics } from '@aws-sdk/client-cloudwatch'
import { CloudWatchLogsClient, paginateFilterLogEvents } from '@aws-sdk/client-cloudwatch-logs'
import {
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  paginateListTasks,
  type Service,
  type Task,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs'
import { TASK_PORT } from '../../cdk/lib/data/ports.ts'
import type { Deployment, HealthyHosts, NodeEvent, NotMeasurable, Replacement } from './deployment.ts'
import { nodeEventOf } from './node-log.ts'

/** SIGTERM and deregistration are some seconds apart at least. */
const POLL_MS = 1000
/** New nodes within some minutes, and up to 2.5 min for the old ones to leave. */
const DEPLOYMENT_MS = 30 * 60_000
/** CloudWatch Logs shows a line within seconds, rarely within minutes. */
const LOG_PATIENCE_MS = 3 * 60_000
const LOG_POLL_MS = 5000
const METRIC_MINUTES = 15
const MINUTE_MS = 60_000
/** A new node is counted at once, and the metric's minute begins before. */
const METRIC_SETTLED_MS = 2 * MINUTE_MS

export interface AwsDeploymentOptions {
  readonly region: string
  readonly cluster: string
  readonly service: string
  readonly logGroup: string
}

interface Clients {
  readonly ecs: ECSClient
  readonly metrics: CloudWatchClient
  readonly logs: CloudWatchLogsClient
}

export class AwsDeployment implements Deployment {
  readonly title: string
  readonly visitors = undefined
  /** The balancer is AWS’s, and nothing of a check is visible but its result. */
  readonly checksHaveHeader = false
  readonly #names: AwsDeploymentOptions
  readonly #ecs: ECSClient
  readonly #metrics: CloudWatchClient
  readonly #logs: CloudWatchLogsClient
  readonly #deregistrations: NodeEvent[] = []
  #began = Date.now()

  constructor(names: AwsDeploymentOptions, { ecs, metrics, logs }: Clients = clientsFor(names)) {
    this.#names = names
    this.#ecs = ecs
    this.#metrics = metrics
    this.#logs = logs
    this.title = `AWS, ${names.region}, service ${names.service}`
  }

  /** Reads the outputs of PosternData. @throws Error if it is not deployed there */
  static async find(region: string | undefined, signal: AbortSignal): Promise<AwsDeployment> {
    const client = new CloudFormationClient(region === undefined ? {} : { region })
    try {
      const describe = new DescribeStacksCommand({ StackName: 'PosternData' })
      const { Stacks: [stack] = [] } = await client.send(describe, { abortSignal: signal })
      const output = (name: string): string => {
        const value = stack?.Outputs?.find(({ OutputKey }) => OutputKey === name)?.OutputValue
        if (value === undefined) throw new Error(`PosternData has no output ${name}.`)
        return value
      }
      const [cluster, service, logGroup] = [output('ClusterName'), output('ServiceName'), output('TaskLogGroup')]
      return new AwsDeployment({ region: await client.config.region(), cluster, service, logGroup })
    } finally {
      client.destroy()
    }
  }

  async healthyHosts(signal: AbortSignal): Promise<HealthyHosts | NotMeasurable> {
    const tasks = await this.#describeTasks(await this.#runningTasks(signal), signal)
    const latestStart = Math.max(...tasks.map(({ startedAt }) => startedAt?.getTime() ?? Date.now()))
    const group = targetGroupOf(await this.#describeService(signal))
    if (group === undefined) return { reason: `The service has no target group of port ${TASK_PORT.channel}.` }
    const named = { Namespace: 'AWS/NetworkELB', MetricName: 'HealthyHostCount' }
    const all: number[] = []
    const zones: { zone: string; values: number[] }[] = []
    const filter = { ...named, Dimensions: [{ Name: 'TargetGroup', Value: group }] }
    for await (const { Metrics = [] } of paginateListMetrics({ client: this.#metrics }, filter)) {
      for (const { Dimensions = [] } of Metrics) {
        const values = await this.#minima({ ...named, Dimensions }, latestStart + METRIC_SETTLED_MS, signal)
        const zone = Dimensions.find(({ Name }) => Name === 'AvailabilityZone')?.Value
        if (zone === undefined) all.push(...values)
        else zones.push({ zone, values })
      }
    }
    return { nodes: tasks.length, all, zones }
  }

  async replaceNodes(signal: AbortSignal): Promise<Replacement> {
    const { cluster, service } = this.#names
    const previous = await this.#runningTasks(signal)
    this.#began = Date.now()
    const update = new UpdateServiceCommand({ cluster, service, forceNewDeployment: true })
    const { service: updated } = await this.#ecs.send(update, { abortSignal: signal })
    const deployment = updated?.deployments?.find(({ status }) => status === 'PRIMARY')?.id
    const deadline = Date.now() + DEPLOYMENT_MS
    let lastPoll = this.#began
    while (true) {
      const at = Date.now()
      const tasks = await this.#describeTasks(previous, signal)
      for (const task of tasks) this.#noteDeregistration(task, at, lastPoll)
      lastPoll = at
      const left = tasks.some(({ lastStatus }) => lastStatus !== 'STOPPED')
      const { deployments = [] } = await this.#describeService(signal)
      const ours = deployments.find(({ id }) => id === deployment)
      if (ours === undefined || ours.rolloutState === 'FAILED')
        throw new Error(`The deployment failed: ${ours?.rolloutStateReason ?? 'another one has taken its place'}`)
      if (ours.rolloutState === 'COMPLETED' && !left) break
      if (Date.now() > deadline) throw new Error(`The deployment was not over within ${DEPLOYMENT_MS / MINUTE_MS} min.`)
      await delay(POLL_MS, undefined, { signal })
    }
    const current = await this.#runningTasks(signal)
    return { previous: previous.map(idOf), current: current.map(idOf) }
  }

  /** Waits for the log lines of every node, which come late. */
  async events(nodes: readonly string[], signal: AbortSignal): Promise<readonly NodeEvent[]> {
    const pattern = '{ $.msg = "stopping" || $.msg = "stopped" }'
    const deadline = Date.now() + LOG_PATIENCE_MS
    while (true) {
      const lines = await this.#logLines(pattern, signal)
      const events = lines.flatMap(({ node, line }) => nodeEventOf(node, line) ?? [])
      const isWhole = nodes.every((node) => events.some((event) => event.node === node && event.kind === 'stopped'))
      if (isWhole || Date.now() > deadline) return [...this.#deregistrations, ...events]
      await delay(LOG_POLL_MS, undefined, { signal })
    }
  }

  async nodeOf(requestId: string, signal: AbortSignal): Promise<string | undefined> {
    const deadline = Date.now() + LOG_PATIENCE_MS
    while (true) {
      const [found] = await this.#logLines(`"${requestId}"`, signal)
      if (found || Date.now() > deadline) return found?.node
      await delay(LOG_POLL_MS, undefined, { signal })
    }
  }

  async stop(): Promise<void> {
    for (const client of [this.#ecs, this.#metrics, this.#logs]) client.destroy()
  }

  /** ECS deregisters a task of a service with target groups while the task is DEACTIVATING. */
  #noteDeregistration(task: Task, at: number, after: number): void {
    const node = idOf(task.taskArn!)
    if (task.lastStatus !== 'DEACTIVATING' || this.#deregistrations.some((event) => event.node === node)) return
    this.#deregistrations.push({ node, kind: 'deregistered', at, after })
  }

  async #describeService(signal: AbortSignal): Promise<Service> {
    const { cluster, service } = this.#names
    const describe = new DescribeServicesCommand({ cluster, services: [service] })
    const { services: [found] = [] } = await this.#ecs.send(describe, { abortSignal: signal })
    if (!found) throw new Error(`There is no service ${service} in ${cluster}.`)
    return found
  }

  /** @returns their ARNs */
  async #runningTasks(signal: AbortSignal): Promise<string[]> {
    const { cluster, service: serviceName } = this.#names
    const arns: string[] = []
    for await (const { taskArns = [] } of paginateListTasks({ client: this.#ecs }, { cluster, serviceName })) {
      signal.throwIfAborted()
      arns.push(...taskArns)
    }
    return arns
  }

  async #describeTasks(tasks: string[], signal: AbortSignal): Promise<Task[]> {
    if (tasks.length === 0) throw new Error('The service has no running task.')
    const describe = new DescribeTasksCommand({ cluster: this.#names.cluster, tasks })
    return (await this.#ecs.send(describe, { abortSignal: signal })).tasks ?? []
  }

  /** One value a minute, from `from` or the last quarter of an hour on. */
  async #minima(
    Metric: {
      Namespace: string
      MetricName: string
      Dimensions: { Name: string | undefined; Value: string | undefined }[]
    },
    from: number,
    signal: AbortSignal,
  ): Promise<number[]> {
    const now = Date.now()
    // CloudWatch takes whole minutes; the last one may still be incomplete.
    const end = Math.floor(now / MINUTE_MS - 1) * MINUTE_MS
    const start = Math.ceil(Math.max(from, now - METRIC_MINUTES * MINUTE_MS) / MINUTE_MS) * MINUTE_MS
    if (start >= end) return []
    const query = new GetMetricDataCommand({
      StartTime: new Date(start),
      EndTime: new Date(end),
      MetricDataQueries: [{ Id: 'healthy', MetricStat: { Metric, Period: 60, Stat: 'Minimum' } }],
    })
    const { MetricDataResults: [result] = [] } = await this.#metrics.send(query, { abortSignal: signal })
    return result?.Values ?? []
  }

  async #logLines(filterPattern: string, signal: AbortSignal): Promise<{ node: string; line: string }[]> {
    const lines: { node: string; line: string }[] = []
    const query = { logGroupName: this.#names.logGroup, startTime: this.#began, filterPattern }
    for await (const { events = [] } of paginateFilterLogEvents({ client: this.#logs }, query)) {
      signal.throwIfAborted()
      for (const { logStreamName = '', message = '' } of events)
        lines.push({ node: idOf(logStreamName), line: message })
    }
    return lines
  }
}

const clientsFor = ({ region }: AwsDeploymentOptions): Clients => ({
  ecs: new ECSClient({ region }),
  metrics: new CloudWatchClient({ region }),
  logs: new CloudWatchLogsClient({ region }),
})

/** The last part: of an ARN, and of the name of a log stream (`task/data-plane/<id of the task>`). */
const idOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

/** As the metrics name the target group: `targetgroup/…`. */
function targetGroupOf({ loadBalancers = [] }: Service): string | undefined {
  const arn = loadBalancers.find(({ containerPort }) => containerPort === TASK_PORT.channel)?.targetGroupArn
  return arn?.slice(arn.indexOf('targetgroup/'))
}
