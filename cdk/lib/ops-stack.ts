/** What people look at and what wakes them. Nothing of the service depends on it. */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions'
import type { Construct } from 'constructs'
import type { Config } from './config.ts'
import type { ControlStack } from './control-stack.ts'
import type { DataStack } from './data-stack.ts'
import { alarmTopic } from './ops/alarm-topic.ts'
import { alarms } from './ops/alarms.ts'
import { canary } from './ops/canary.ts'
import { dashboard } from './ops/dashboard.ts'
import { watched } from './ops/watched.ts'
import type { StateStack } from './state-stack.ts'

export interface OpsStackProps extends StackProps {
  readonly config: Config
  readonly state: StateStack
  readonly control: ControlStack
  readonly data: DataStack
}

export class OpsStack extends Stack {
  constructor(scope: Construct, id: string, { config, state, control, data, ...props }: OpsStackProps) {
    super(scope, id, props)
    if (config.canaryToken !== undefined) {
      const server = state.domain ? `https://${state.names.base}` : control.api.apiEndpoint
      const { logGroup } = canary(this, { server, tokenSecret: config.canaryToken })
      new CfnOutput(this, 'CanaryLogGroup', { value: logGroup.logGroupName, description: 'What the canary says' })
    }
    const on = watched({ config, state, control, data })
    const action = new SnsAction(alarmTopic(this, config.alarmEmail))
    const { dashboardName } = dashboard(this, { on, alarms: alarms(this, { on, config, action }) })
    new CfnOutput(this, 'DashboardUrl', {
      value: `https://${this.region}.console.aws.amazon.com/cloudwatch/home?region=${this.region}#dashboards/dashboard/${dashboardName}`,
      description: 'How the service is',
    })
  }
}
