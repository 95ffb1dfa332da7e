/** The canary: a function that knocks from outside once a minute, by name, TLS, balancer and tunnel. Knows nothing of its alarm. */
import { ENV } from '@postern/protocol/environment'
import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import { Rule, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam'
import { Architecture, type Function as LambdaFunctionType, Runtime } from 'aws-cdk-lib/aws-lambda'
import { NodejsFunction } from 'aws-cdk-lib/aws-lambda-nodejs'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import { Secret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'
import { LAMBDA_BUNDLING, REPOSITORY } from '../lambda-bundling.ts'

/** A knock gives up after 25 s (protocol's limits); the secret is read before, and the line is written after. */
const TIMEOUT = Duration.seconds(45)

export interface CanaryProps {
  /** As an agent is given it. */
  readonly server: string
  /** Name of the secret that holds the canary's token. Made by a person (docs/operations.md). */
  readonly tokenSecret: string
}

export function canary(scope: Construct, { server, tokenSecret }: CanaryProps): LambdaFunctionType {
  const logGroup = new LogGroup(scope, 'CanaryLog', {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const role = new Role(scope, 'CanaryRole', {
    assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    description: 'Postern: what the canary may do',
  })
  logGroup.grantWrite(role)
  const { secretArn } = Secret.fromSecretNameV2(scope, 'CanaryToken', tokenSecret)
  // The service puts a hyphen and six characters behind the name.
  role.addToPolicy(
    new PolicyStatement({ actions: ['secretsmanager:GetSecretValue'], resources: [`${secretArn}-??????`] }),
  )
  const handler = new NodejsFunction(scope, 'Canary', {
    description: 'Postern: knocks from outside once a minute',
    entry: `${REPOSITORY}canary/src/lambda.ts`,
    handler: 'handler',
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    // It waits for the network most of the time.
    memorySize: 256,
    timeout: TIMEOUT,
    // In no network of ours: it comes from outside as any agent and any visitor does.
    role,
    logGroup,
    awsSdkConnectionReuse: false,
    projectRoot: REPOSITORY,
    depsLockFilePath: `${REPOSITORY}package-lock.json`,
    bundling: LAMBDA_BUNDLING,
    environment: { [ENV.canaryServer]: server, [ENV.canarySecretArn]: secretArn },
  })
  handler.node.addDependency(role)
  new Rule(scope, 'CanarySchedule', {
    description: 'Postern: the canary, once a minute',
    schedule: Schedule.rate(Duration.minutes(1)),
    // A knock that comes late says nothing of its minute: the next one is soon enough.
    targets: [new LambdaFunction(handler, { retryAttempts: 0, maxEventAge: Duration.minutes(1) })],
  })
  return handler
}
