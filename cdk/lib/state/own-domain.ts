/** The zone of one's own domain, and the one certificate of both planes. Knows nothing of the records in it. */
import { Certificate, CertificateValidation, type ICertificate } from 'aws-cdk-lib/aws-certificatemanager'
import { HostedZone, type IHostedZone } from 'aws-cdk-lib/aws-route53'
import type { Construct } from 'constructs'

export interface OwnDomain {
  readonly zone: IHostedZone
  /** Of the base domain (API Gateway), of every name one label below it (the balancer), and of those below the nested names. */
  readonly certificate: ICertificate
}

export function ownDomain(
  scope: Construct,
  { name, zoneId }: { name: string; zoneId: string },
  nestedNames: readonly string[],
): OwnDomain {
  // By its attributes: a look-up would need credentials at synthesis. The zone may be of a parent domain: only its id counts,
  // and records are named in full.
  const zone = HostedZone.fromHostedZoneAttributes(scope, 'Zone', { hostedZoneId: zoneId, zoneName: name })
  const certificate = new Certificate(scope, 'Certificate', {
    domainName: name,
    subjectAlternativeNames: [`*.${name}`, ...nestedNames.map((tunnel) => `*.${tunnel}.${name}`)],
    validation: CertificateValidation.fromDns(zone),
  })
  return { zone, certificate }
}
