/** The Lambda of the control plane: its bundle, its environment and its rights. Knows nothing of how calls reach it. */
import { ENV } from '@postern/protocol/environment'
import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import type { ITable } from 'aws-cdk-lib/aws-dynamodb'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Architecture, Runtime } from 'aws-cdk-lib/aws-lambda'
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'
import { LAMBDA_BUNDLE } from '../../../control-plane/bundle.mjs'
import type { Config } from '../config.ts'
import { LAMBDA_BUNDLING, REPOSITORY } from '../lambda-bundling.ts'
import type { PublicNames } from '../state/public-names.ts'

/** Agents give up a call after ten seconds. */
const TIMEOUT = Duration.seconds(10)

export interface ControlFunctionProps {
  readonly config: Pick<Config, 'channelPort' | 'ipPolicy' | 'functionConcurrency'>
  readonly names: PublicNames
  readonly table: ITable
  readonly channelSecret: ISecret
  readonly grantSecret: ISecret
}

export function controlFunction(scope: Construct, props: ControlFunctionProps) {
  const { config, names, table, channelSecret, grantSecret } = props
  const logGroup = new LogGroup(scope, 'FunctionLog', {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  // A role of our own: the managed one may write to every log group of the account.
  const role = new Role(scope, 'FunctionRole', {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    description: 'Postern: what the control plane may do',
  })
  logGroup.grantWrite(role)
  role.addToPolicy(
    new PolicyStatement({
      // Every call of the store is one of these. No Scan, no batch, nothing about the table itself.
      actions: ['GetItem', 'PutItem', 'UpdateItem', 'DeleteItem', 'Query'].map((action) => `dynamodb:${action}`),
      resources: [table.tableArn],
    }),
  )
  role.addToPolicy(
    new PolicyStatement({
      actions: ['secretsmanager:GetSecretValue'],
      resources: [channelSecret.secretArn, grantSecret.secretArn],
    }),
  )

  const [entry] = LAMBDA_BUNDLE.entryPoints
  const handler = new NodejsFunction(scope, 'Function', {
    description: 'Postern: the control plane',
    entry: entry!,
    handler: 'handler',
    runtime: Runtime.NODEJS_24_X,
    // A fifth cheaper than x86_64, and nothing in the bundle is machine code.
    architecture: Architecture.ARM_64,
    // A quarter of a processor: below it the start takes longer than what it saves.
    memorySize: 512,
    timeout: TIMEOUT,
    // Neither do other functions of the account take executions from this one, nor a flood of tickets from them.
    ...(config.functionConcurrency !== 'none' && { reservedConcurrentExecutions: config.functionConcurrency }),
    role,
    logGroup,
    awsSdkConnectionReuse: false,
    projectRoot: REPOSITORY,
    depsLockFilePath: `${REPOSITORY}package-lock.json`,
    bundling: LAMBDA_BUNDLING,
    environment: {
      [ENV.table]: table.tableName,
      [ENV.base]: names.base,
      [ENV.publicUrl]: names.publicUrl,
      [ENV.channelHost]: names.channelHost,
      [ENV.channelPort]: String(config.channelPort),
      [ENV.ipPolicy]: config.ipPolicy,
      [ENV.channelSecretArn]: channelSecret.secretArn,
      [ENV.grantSecretArn]: grantSecret.secretArn,
    },
  })
  // Everything of its role before it: the first start reads the secret.
  handler.node.addDependency(role)
  return handler
}
