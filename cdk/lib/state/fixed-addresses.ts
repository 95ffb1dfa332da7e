/** Elastic IPs for the balancer, and the base name that the first of them gives. For a deployment without a domain; knows nothing of the balancer. */
import { Fn } from 'aws-cdk-lib'
import { CfnEIP } from 'aws-cdk-lib/aws-ec2'
import type { Construct } from 'constructs'
import { ZONES } from '../zones.ts'

export interface FixedAddress {
  readonly ip: string
  readonly allocationId: string
}

/** One for each availability zone of the balancer. */
export function fixedAddresses(scope: Construct): FixedAddress[] {
  return Array.from({ length: ZONES }, (_, zone) => {
    const address = new CfnEIP(scope, `Address${zone + 1}`, { domain: 'vpc' })
    return { ip: address.ref, allocationId: address.attrAllocationId }
  })
}

/** `a-b-c-d.sslip.io`, which resolves, with any label before it, to a.b.c.d: a name of one's own without owning a domain. */
export const sslipName = ({ ip }: FixedAddress): string => `${Fn.join('-', Fn.split('.', ip, 4))}.sslip.io`
