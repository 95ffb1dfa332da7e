/** The network of the data plane: public subnets, and no NAT gateway. Knows nothing of what runs in it. */
import { Validations } from 'aws-cdk-lib'
import { GatewayVpcEndpointAwsService, IpProtocol, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2'
import type { Construct } from 'constructs'
import { ZONES } from '../zones.ts'

export function network(scope: Construct, { dualStack }: { dualStack: boolean }): Vpc {
  const vpc = new Vpc(scope, 'Vpc', {
    maxAzs: ZONES,
    // A NAT gateway costs more than all the rest of a small deployment. Tasks have public addresses, and security groups that
    // admit the balancer alone.
    natGateways: 0,
    subnetConfiguration: [{ name: 'Public', subnetType: SubnetType.PUBLIC, cidrMask: 20 }],
    ...(dualStack && { ipProtocol: IpProtocol.DUAL_STACK }),
    // The flag of cdk.json would bring a custom resource with a function and a role, to empty a group that nothing is in (docs/decisions/0020-cdk-flags.md).
    restrictDefaultSecurityGroup: false,
    // What goes to the table and to the image's layers costs nothing and leaves by no public address.
    gatewayEndpoints: {
      Table: { service: GatewayVpcEndpointAwsService.DYNAMODB },
      Layers: { service: GatewayVpcEndpointAwsService.S3 },
    },
  })
  Validations.of(vpc).acknowledge({
    id: 'AwsSolutions-VPC7',
    reason:
      'Flow logs cost by the gigabyte. Those of the balancer name the addresses of agents and visitors; those of the tasks name the balancer, other tasks and AWS. Who opened which channel, and to whom it was refused, is in the log of the data plane. Nothing records packets that a security group drops.',
  })
  return vpc
}
