/** The network load balancer and its listeners. Knows nothing of the tasks behind its target groups. */
import { Duration, Validations } from 'aws-cdk-lib'
import type { IVpc, SecurityGroup } from 'aws-cdk-lib/aws-ec2'
import {
  AlpnPolicy,
  IpAddressType,
  type NetworkListener,
  NetworkLoadBalancer,
  NetworkTargetGroup,
  Protocol,
  SslPolicy,
  TargetType,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import type { Construct } from 'constructs'
import type { FixedAddress } from '../state/fixed-addresses.ts'
import type { OwnDomain } from '../state/own-domain.ts'
import type { Door } from './doors.ts'
import { TASK_PORT } from './ports.ts'

/** Fixed on TLS listeners; the channel's heartbeat of 10 s is well inside it. */
const IDLE = Duration.seconds(350)
/**
 * ECS waits for this before SIGTERM, and the process then lives for 110 s: together longer than the about 120 s for which the balancer
 * still sends new flows to a task that is leaving, so that none of them meets a closed port.
 */
const DEREGISTRATION = Duration.seconds(30)

export interface BalancerProps {
  readonly vpc: IVpc
  readonly group: SecurityGroup
  readonly doors: readonly Door[]
  readonly domain: OwnDomain | undefined
  /** One for each subnet, or none. */
  readonly addresses: readonly FixedAddress[]
  readonly dualStack: boolean
}

export interface Balancer {
  readonly loadBalancer: NetworkLoadBalancer
  /** By the port of the task. */
  readonly targets: ReadonlyMap<number, NetworkTargetGroup>
  readonly listeners: readonly NetworkListener[]
}

export function balancer(scope: Construct, props: BalancerProps): Balancer {
  const { vpc, group, doors, domain, addresses, dualStack } = props
  const loadBalancer = new NetworkLoadBalancer(scope, 'Balancer', {
    vpc,
    internetFacing: true,
    // A network load balancer takes security groups at its creation or never.
    securityGroups: [group],
    crossZoneEnabled: true,
    ipAddressType: dualStack ? IpAddressType.DUAL_STACK : IpAddressType.IPV4,
    ...(addresses.length > 0 && {
      subnetMappings: vpc.publicSubnets.map((subnet, zone) => ({
        subnet,
        allocationId: addresses[zone]!.allocationId,
      })),
    }),
  })
  Validations.of(loadBalancer).acknowledge({
    id: 'AwsSolutions-ELB2',
    reason:
      'Its access log knows TLS listeners only, neither the channel nor who a visitor is to us, and costs a bucket.',
  })
  const targets = new Map<number, NetworkTargetGroup>()
  const listeners = doors.map((door) => {
    const target = targets.get(door.taskPort) ?? targetGroup(scope, `${door.name}Targets`, vpc, door.taskPort)
    targets.set(door.taskPort, target)
    if (door.tls && domain) {
      return loadBalancer.addListener(door.name, {
        port: door.port,
        protocol: Protocol.TLS,
        certificates: [domain.certificate],
        sslPolicy: SslPolicy.RECOMMENDED_TLS,
        // The data plane speaks both on its public port, and tells them apart by the first bytes.
        alpnPolicy: AlpnPolicy.HTTP2_PREFERRED,
        defaultTargetGroups: [target],
      })
    }
    return loadBalancer.addListener(door.name, {
      port: door.port,
      protocol: Protocol.TCP,
      tcpIdleTimeout: IDLE,
      defaultTargetGroups: [target],
    })
  })
  return { loadBalancer, targets, listeners }
}

function targetGroup(scope: Construct, id: string, vpc: IVpc, port: number): NetworkTargetGroup {
  const group = new NetworkTargetGroup(scope, id, {
    vpc,
    port,
    protocol: Protocol.TCP,
    targetType: TargetType.IP,
    // The visitor's and the agent's address come in the header; keeping them as the packets' source breaks hairpins and reuses ports.
    proxyProtocolV2: true,
    preserveClientIp: false,
    deregistrationDelay: DEREGISTRATION,
    // ECS deregisters before SIGTERM: agents would be cut without a word.
    connectionTermination: false,
    crossZoneEnabled: true,
    healthCheck: {
      protocol: Protocol.HTTP,
      port: String(TASK_PORT.ops),
      // 503 as soon as the task drains; whether the process lives is the container's own check.
      path: '/readyz',
      healthyHttpCodes: '200',
      interval: Duration.seconds(10),
      timeout: Duration.seconds(6),
      healthyThresholdCount: 2,
      unhealthyThresholdCount: 3,
    },
  })
  // A task that answers slowly for half a minute would otherwise lose every tunnel it has.
  group.setAttribute('target_health_state.unhealthy.connection_termination.enabled', 'false')
  return group
}
