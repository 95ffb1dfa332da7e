/** The control plane: an HTTP API before a Lambda. It reads the state and knows nothing of the data plane, so that it deploys alone. */
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib'
import type { HttpApi, HttpStage } from 'aws-cdk-lib/aws-apigatewayv2'
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import type { Construct } from 'constructs'
import type { Config } from './config.ts'
import { apexDomain } from './control/apex-domain.ts'
import { controlApi } from './control/control-api.ts'
import { controlFunction } from './control/control-function.ts'
import type { StateStack } from './state-stack.ts'

export class ControlStack extends Stack {
  readonly handler: LambdaFunction
  readonly api: HttpApi
  readonly stage: HttpStage

  constructor(
    scope: Construct,
    id: string,
    { config, state, ...props }: StackProps & { config: Config; state: StateStack },
  ) {
    super(scope, id, props)
    const { names, table, channelSecret, grantSecret, domain } = state
    const { dualStack } = config
    this.handler = controlFunction(this, { config, names, table, channelSecret, grantSecret })
    const { api, stage } = controlApi(this, { handler: this.handler, dualStack, hasDomain: domain !== undefined })
    this.api = api
    this.stage = stage
    if (domain) apexDomain(this, { api, stage, domain, dualStack })
    new CfnOutput(this, 'FunctionName', { value: this.handler.functionName, description: 'The control plane' })
    new CfnOutput(this, 'FunctionConcurrency', {
      value: String(config.functionConcurrency),
      description: 'Executions that are reserved for the control plane',
    })
    new CfnOutput(this, 'FunctionLogGroup', {
      value: this.handler.logGroup.logGroupName,
      description: 'What the control plane says',
    })
    new CfnOutput(this, 'ControlUrl', {
      value: domain ? `https://${names.base}` : api.apiEndpoint,
      description: 'tunnel-agent login --server',
    })
  }
}
