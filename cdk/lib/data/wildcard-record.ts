/** Every name one label below the base domain, as an alias of the balancer. */
import type { NetworkLoadBalancer } from 'aws-cdk-lib/aws-elasticloadbalancingv2'
import { AaaaRecord, ARecord, type IHostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53'
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets'
import type { Construct } from 'constructs'

export interface WildcardProps {
  readonly zone: IHostedZone
  readonly loadBalancer: NetworkLoadBalancer
  readonly dualStack: boolean
}

export function wildcardRecord(scope: Construct, { zone, loadBalancer, dualStack }: WildcardProps): void {
  const target = RecordTarget.fromAlias(new LoadBalancerTarget(loadBalancer))
  new ARecord(scope, 'WildcardRecord', { zone, recordName: '*', target })
  if (dualStack) new AaaaRecord(scope, 'WildcardRecord6', { zone, recordName: '*', target })
}
