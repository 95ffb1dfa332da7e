/** What must outlive every deployment. Whatever reads or writes it stands in other stacks, which can be made again from this one. */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import type { Table } from 'aws-cdk-lib/aws-dynamodb'
import type { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'
import type { Config } from './config.ts'
import { type FixedAddress, fixedAddresses, sslipName } from './state/fixed-addresses.ts'
import { keySecret } from './state/key-secret.ts'
import { type OwnDomain, ownDomain } from './state/own-domain.ts'
import { namesOfAddress, namesOfDomain, type PublicNames } from './state/public-names.ts'
import { stateTable } from './state/state-table.ts'

export class StateStack extends Stack {
  readonly table: Table
  /** Seals tickets and signs observations; both planes read it. */
  readonly channelSecret: Secret
  /** For the hop between tasks; never given to the control plane. */
  readonly hopSecret: Secret
  /** By which the control plane signs what tickets grant; never given to the data plane, which reads the public half in the table. */
  readonly grantSecret: Secret
  readonly names: PublicNames
  readonly domain: OwnDomain | undefined
  /** The balancer's; none with a domain, which is an alias of whatever addresses the balancer has. */
  readonly addresses: readonly FixedAddress[]

  constructor(scope: Construct, id: string, { config, ...props }: StackProps & { config: Config }) {
    super(scope, id, { ...props, terminationProtection: true })
    this.table = stateTable(this)
    this.channelSecret = keySecret(this, 'ChannelSecret', 'Postern: keys that seal tickets and sign observations')
    this.hopSecret = keySecret(this, 'HopSecret', 'Postern: keys of the hop between tasks')
    this.grantSecret = keySecret(this, 'GrantSecret', 'Postern: keys that sign what tickets grant')
    if (config.domain === undefined) {
      this.addresses = fixedAddresses(this)
      this.names = namesOfAddress(sslipName(this.addresses[0]!))
    } else {
      this.addresses = []
      this.domain = ownDomain(this, config.domain, config.nestedNames)
      this.names = namesOfDomain(config.domain.name)
    }
    new CfnOutput(this, 'TableName', { value: this.table.tableName, description: 'tunnel-admin bootstrap --table' })
    new CfnOutput(this, 'ChannelSecretArn', {
      value: this.channelSecret.secretArn,
      description: 'For the rotation of keys',
    })
    new CfnOutput(this, 'HopSecretArn', {
      value: this.hopSecret.secretArn,
      description: 'For the rotation of its keys',
    })
    new CfnOutput(this, 'GrantSecretArn', {
      value: this.grantSecret.secretArn,
      description: 'For the rotation of its keys',
    })
    new CfnOutput(this, 'Base', { value: this.names.base, description: 'Tunnels are one label below it' })
  }
}
