/** The base domain itself, as the API's name. Names below it belong to the balancer: a wildcard record never matches its apex. */
import {
  ApiMapping,
  DomainName,
  type HttpApi,
  type HttpStage,
  IpAddressType,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigatewayv2'
import { AaaaRecord, ARecord, RecordTarget } from 'aws-cdk-lib/aws-route53'
import { ApiGatewayv2DomainProperties } from 'aws-cdk-lib/aws-route53-targets'
import type { Construct } from 'constructs'
import type { OwnDomain } from '../state/own-domain.ts'

export interface ApexDomainProps {
  readonly api: HttpApi
  readonly stage: HttpStage
  readonly domain: OwnDomain
  readonly dualStack: boolean
}

export function apexDomain(scope: Construct, { api, stage, domain, dualStack }: ApexDomainProps): void {
  const { zone, certificate } = domain
  const name = new DomainName(scope, 'Domain', {
    domainName: zone.zoneName,
    certificate,
    securityPolicy: SecurityPolicy.TLS_1_2,
    ipAddressType: dualStack ? IpAddressType.DUAL_STACK : IpAddressType.IPV4,
  })
  new ApiMapping(scope, 'DomainMapping', { api, stage, domainName: name })
  const target = RecordTarget.fromAlias(
    new ApiGatewayv2DomainProperties(name.regionalDomainName, name.regionalHostedZoneId),
  )
  new ARecord(scope, 'ApexRecord', { zone, target })
  if (dualStack) new AaaaRecord(scope, 'ApexRecord6', { zone, target })
}
