/** The task of the data plane: its container, environment and rights. Knows nothing of how many there are, or who reaches them. */
import { ENV } from '@postern/protocol/environment'
import { Duration, RemovalPolicy, Size, Stack, Validations } from 'aws-cdk-lib'
import type { ITable } from 'aws-cdk-lib/aws-dynamodb'
import {
  AwsLogDriverMode,
  Capability,
  type ContainerImage,
  CpuArchitecture,
  FargateTaskDefinition,
  LinuxParameters,
  LogDrivers,
  OperatingSystemFamily,
  Secret,
  UlimitName,
} from 'aws-cdk-lib/aws-ecs'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager'
import type { Construct } from 'constructs'
import type { Config } from '../config.ts'
import type { PublicNames } from '../state/public-names.ts'
import { TASK_PORT } from './ports.ts'
import { tableAccess } from './table-access.ts'

/** Fargate's most. The process tells its agents to go within 60 s and ends itself at 110 s. */
const STOP_TIMEOUT = Duration.seconds(120)
/** Descriptors: a tunnel is one, a visitor another; the process sets its own ceilings well below. */
const DESCRIPTORS = 65_536
/**
 * Lines that wait for CloudWatch. At 1,000 requests a second the access log writes about 300 kB a second: 10 MiB last for half a minute, where
 * the driver's 1 MiB lasts for three seconds. The buffer is part of the task's memory: 2 % of the smallest task.
 */
const LOG_BUFFER = Size.mebibytes(10)
export const CONTAINER = 'data-plane'

export interface TaskProps {
  readonly config: Config
  readonly names: PublicNames
  readonly table: ITable
  readonly channelSecret: ISecret
  readonly hopSecret: ISecret
  readonly image: ContainerImage
  /** Those that the balancer connects to. */
  readonly ports: readonly number[]
}

export function task(scope: Construct, props: TaskProps): { definition: FargateTaskDefinition; logGroup: LogGroup } {
  const { config, names, table, channelSecret, hopSecret, image, ports } = props
  const definition = new FargateTaskDefinition(scope, 'Task', {
    cpu: config.taskCpu,
    memoryLimitMiB: config.taskMemory,
    runtimePlatform: {
      cpuArchitecture: config.architecture === 'arm64' ? CpuArchitecture.ARM64 : CpuArchitecture.X86_64,
      operatingSystemFamily: OperatingSystemFamily.LINUX,
    },
  })
  for (const statement of tableAccess(table.tableArn)) definition.addToTaskRolePolicy(statement)

  const logGroup = new LogGroup(scope, 'TaskLog', {
    retention: RetentionDays.ONE_MONTH,
    removalPolicy: RemovalPolicy.DESTROY,
  })
  const linuxParameters = new LinuxParameters(scope, 'Linux')
  linuxParameters.dropCapabilities(Capability.ALL)
  const container = definition.addContainer(CONTAINER, {
    image,
    essential: true,
    // Said to the container too, or the process would see the memory of the machine and size its ceilings by that.
    memoryLimitMiB: config.taskMemory,
    // Numbers: the names are the image's business. 1000 is `node`.
    user: '1000:1000',
    readonlyRootFilesystem: true,
    linuxParameters,
    stopTimeout: STOP_TIMEOUT,
    healthCheck: {
      // Alive, not ready: a task that drains must not be killed for it.
      command: [
        'CMD',
        'node',
        '-e',
        `fetch('http://127.0.0.1:'+process.env.${ENV.opsPort}+'/healthz').then((r)=>process.exit(r.ok?0:1),()=>process.exit(1))`,
      ],
      // A second Node for a moment is a noticeable part of a quarter of a processor.
      interval: Duration.seconds(30),
      timeout: Duration.seconds(10),
      retries: 3,
      startPeriod: Duration.seconds(30),
    },
    // A log service that is slow must not stop the process: beyond this, lines are dropped.
    logging: LogDrivers.awsLogs({
      logGroup,
      streamPrefix: 'task',
      mode: AwsLogDriverMode.NON_BLOCKING,
      maxBufferSize: LOG_BUFFER,
    }),
    portMappings: [...ports, TASK_PORT.hop].map((containerPort) => ({ containerPort })),
    environment: {
      [ENV.table]: table.tableName,
      [ENV.base]: names.base,
      [ENV.publicUrl]: names.publicUrl,
      ...(config.nestedNames.length > 0 && { [ENV.nestedNames]: config.nestedNames.join(',') }),
      [ENV.publicPort]: String(TASK_PORT.public),
      ...(ports.includes(TASK_PORT.redirect) && { [ENV.redirectPort]: String(TASK_PORT.redirect) }),
      [ENV.channelPort]: String(TASK_PORT.channel),
      // Where other tasks reach it, it reads off the metadata of its container.
      [ENV.peerPort]: String(TASK_PORT.hop),
      [ENV.opsPort]: String(TASK_PORT.ops),
      // The balancer writes one header before each connection, and nobody else reaches these ports.
      [ENV.proxyProtocol]: 'required',
      [ENV.ipPolicy]: config.ipPolicy,
      // Standard output goes to CloudWatch Logs, which takes the metrics out of it.
      [ENV.metrics]: 'emf',
      [ENV.accessLog]: config.accessLog,
      AWS_REGION: Stack.of(scope).region,
    },
    // Handed in at the start of each task by ECS: the process itself has no right to any secret, and a rolled task has the new version.
    secrets: {
      [ENV.channelSecret]: Secret.fromSecretsManager(channelSecret),
      [ENV.hopSecret]: Secret.fromSecretsManager(hopSecret),
    },
  })
  container.addUlimits({ name: UlimitName.NOFILE, softLimit: DESCRIPTORS, hardLimit: DESCRIPTORS })
  Validations.of(definition).acknowledge(
    {
      id: 'AwsSolutions-ECS2',
      reason: 'What stands in the environment is addresses and numbers; the two secrets come out of Secrets Manager.',
    },
    {
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason:
        'ecr:GetAuthorizationToken, of the role that starts the task, knows no resource. No other statement has one like it: a test reads them.',
    },
  )
  return { definition, logGroup }
}
