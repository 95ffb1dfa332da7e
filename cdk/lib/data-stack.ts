/** The data plane: the balancer and the tasks behind it. It reads the state; nothing refers from the control plane to it. */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import type { Vpc } from 'aws-cdk-lib/aws-ec2'
import type { FargateService } from 'aws-cdk-lib/aws-ecs'
import type { Construct } from 'constructs'
import type { Config } from './config.ts'
import { type Balancer, balancer } from './data/balancer.ts'
import { doors } from './data/doors.ts'
import { taskImage } from './data/image.ts'
import { network } from './data/network.ts'
import { TASK_PORT } from './data/ports.ts'
import { security } from './data/security.ts'
import { service } from './data/service.ts'
import { task } from './data/task.ts'
import { wildcardRecord } from './data/wildcard-record.ts'
import type { StateStack } from './state-stack.ts'

export class DataStack extends Stack {
  readonly vpc: Vpc
  readonly balancer: Balancer
  readonly service: FargateService

  constructor(
    scope: Construct,
    id: string,
    { config, state, ...props }: StackProps & { config: Config; state: StateStack },
  ) {
    super(scope, id, props)
    const { names, table, channelSecret, hopSecret, domain, addresses } = state
    const { dualStack } = config
    const ways = doors(config)
    const vpc = network(this, { dualStack })
    this.vpc = vpc
    const ports = [...ways.map(({ taskPort }) => taskPort), TASK_PORT.ops]
    const groups = security(this, { vpc, open: ways.map(({ port }) => port), targets: ports, dualStack })
    this.balancer = balancer(this, { vpc, group: groups.balancer, doors: ways, domain, addresses, dualStack })
    const { definition, logGroup } = task(this, {
      config,
      names,
      table,
      channelSecret,
      hopSecret,
      image: taskImage(this, config),
      ports,
    })
    this.service = service(this, { config, vpc, definition, group: groups.task, balancer: this.balancer })
    const { loadBalancer } = this.balancer
    if (domain) wildcardRecord(this, { zone: domain.zone, loadBalancer, dualStack })
    new CfnOutput(this, 'ClusterName', { value: this.service.cluster.clusterName, description: 'Of the tasks' })
    new CfnOutput(this, 'ServiceName', { value: this.service.serviceName, description: 'Of the tasks' })
    new CfnOutput(this, 'TaskLogGroup', { value: logGroup.logGroupName, description: 'What the tasks say' })
    new CfnOutput(this, 'ChannelAddress', {
      value: `${names.channelHost}:${config.channelPort}`,
      description: 'Where agents open their channels, by TCP',
    })
  }
}
