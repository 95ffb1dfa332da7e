/** Who may reach whom: the world the balancer, the balancer the tasks, the tasks one another. */
import { Validations } from 'aws-cdk-lib'
import { type IVpc, Peer, Port, SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import type { Construct } from 'constructs'
import { TASK_PORT } from './ports.ts'

export interface Security {
  readonly balancer: SecurityGroup
  readonly task: SecurityGroup
}

export interface SecurityProps {
  readonly vpc: IVpc
  /** The ports of the balancer. */
  readonly open: readonly number[]
  /** The ports of a task that the balancer connects to. */
  readonly targets: readonly number[]
  readonly dualStack: boolean
}

export function security(scope: Construct, { vpc, open, targets, dualStack }: SecurityProps): Security {
  const balancer = new SecurityGroup(scope, 'BalancerGroup', {
    vpc,
    description: 'Postern: what reaches the balancer',
    allowAllOutbound: false,
  })
  const task = new SecurityGroup(scope, 'TaskGroup', {
    vpc,
    description: 'Postern: what reaches a task',
    allowAllOutbound: false,
  })
  for (const port of open) {
    balancer.addIngressRule(Peer.anyIpv4(), Port.tcp(port), 'the world')
    if (dualStack) balancer.addIngressRule(Peer.anyIpv6(), Port.tcp(port), 'the world')
  }
  for (const port of targets) {
    // Only the balancer: whoever could connect past it could write the PROXY header, and so be from any address.
    task.addIngressRule(balancer, Port.tcp(port), 'the balancer')
    balancer.addEgressRule(task, Port.tcp(port), 'the tasks')
  }
  task.addIngressRule(task, Port.tcp(TASK_PORT.hop), 'the hop between tasks')
  task.addEgressRule(task, Port.tcp(TASK_PORT.hop), 'the hop between tasks')
  task.addEgressRule(Peer.anyIpv4(), Port.tcp(443), 'AWS: table, registry, secrets, logs')
  Validations.of(balancer).acknowledge({
    id: 'AwsSolutions-EC23',
    reason: 'It is the public door of the service: visitors and agents come from anywhere.',
  })
  return { balancer, task }
}
