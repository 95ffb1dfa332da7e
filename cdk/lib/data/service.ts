/** How many tasks run, how they are replaced, and what the balancer sends them. Knows nothing of what a task does. */
import { TASK_METRIC } from '@postern/protocol/metrics'
import { Duration, Validations } from 'aws-cdk-lib'
import { Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch'
import { type IVpc, type SecurityGroup, SubnetType } from 'aws-cdk-lib/aws-ec2'
import {
  AlarmBehavior,
  AvailabilityZoneRebalancing,
  Cluster,
  ContainerInsights,
  FargatePlatformVersion,
  FargateService,
  type FargateTaskDefinition,
} from 'aws-cdk-lib/aws-ecs'
import type { Construct } from 'constructs'
import type { Config } from '../config.ts'
import { ofTasks } from '../ops/metrics.ts'
import type { Balancer } from './balancer.ts'
import { deploymentAlarms } from './deployment-alarms.ts'
import { CONTAINER } from './task.ts'

/** A whole processor holds 1,000 tunnels; so a quarter of one holds 250. */
const TUNNELS_PER_VCPU = 1000
/** Above this a burst finds too little left. */
const CPU_PERCENT = 60
/** A task that goes moves all its agents: no load is worth moving them for that comes back within half an hour. */
const SCALE_IN = Duration.minutes(30)
/** A new task takes about a minute until it is ready. */
const SCALE_OUT = Duration.minutes(1)

export interface ServiceProps {
  readonly config: Config
  readonly vpc: IVpc
  readonly definition: FargateTaskDefinition
  readonly group: SecurityGroup
  readonly balancer: Balancer
}

export function service(scope: Construct, { config, vpc, definition, group, balancer }: ServiceProps): FargateService {
  const cluster = new Cluster(scope, 'Cluster', { vpc, containerInsightsV2: ContainerInsights.DISABLED })
  Validations.of(cluster).acknowledge({
    id: 'AwsSolutions-ECS4',
    reason:
      'Container Insights costs more than the tasks of a small deployment; the tasks report what matters themselves.',
  })
  const tasks = new FargateService(scope, 'Service', {
    cluster,
    taskDefinition: definition,
    platformVersion: FargatePlatformVersion.VERSION1_4,
    // Not said: a deployment would set back to the least what scaling has made of it.
    desiredCount: undefined,
    // No fewer than before while tasks are replaced, and all new ones at once: each agent moves only one time.
    minHealthyPercent: 100,
    maxHealthyPercent: 200,
    // A version that does not start is taken back, and the old tasks were never stopped.
    circuitBreaker: { enable: true, rollback: true },
    healthCheckGracePeriod: Duration.seconds(60),
    // A version that starts and breaks requests is rolled back too.
    deploymentAlarms: {
      alarmNames: deploymentAlarms(scope).map(({ alarmName }) => alarmName),
      behavior: AlarmBehavior.ROLLBACK_ON_ALARM,
    },
    // After the loss of a zone all tasks are in the other one, and stay there otherwise. ECS starts a task before it stops one, which needs the 200 % above.
    availabilityZoneRebalancing: AvailabilityZoneRebalancing.ENABLED,
    securityGroups: [group],
    vpcSubnets: { subnetType: SubnetType.PUBLIC },
    // Without a NAT gateway it is the only way to the registry.
    assignPublicIp: true,
    enableExecuteCommand: false,
  })
  for (const [containerPort, target] of balancer.targets) {
    target.addTarget(tasks.loadBalancerTarget({ containerName: CONTAINER, containerPort }))
  }
  // ECS refuses a target group that no listener uses yet.
  tasks.node.addDependency(...balancer.listeners)

  const scaling = tasks.autoScaleTaskCount({ minCapacity: config.taskCount, maxCapacity: config.mostTasks })
  const cooldown = { scaleInCooldown: SCALE_IN, scaleOutCooldown: SCALE_OUT }
  scaling.scaleToTrackCustomMetric('Tunnels', {
    // Each task reports its own number: their mean is tunnels per task.
    metric: new Metric({ ...ofTasks(TASK_METRIC.tunnels), statistic: Stats.AVERAGE, period: Duration.minutes(1) }),
    targetValue: (TUNNELS_PER_VCPU * config.taskCpu) / 1024,
    ...cooldown,
  })
  scaling.scaleOnCpuUtilization('Cpu', { targetUtilizationPercent: CPU_PERCENT, ...cooldown })
  return tasks
}
