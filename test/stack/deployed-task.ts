/** What a deployed service gives its container: the environment of the task definition that ECS holds, and the rights of its role in IAM. */
import { readSecret } from '@postern/protocol/store'
import * as z from 'zod/mini'
import type { Statement } from '../../cdk/lib/testing/rights.ts'
import type { AwsCommand } from './aws-command.ts'

export interface DeployedTask {
  /** With its revision. */
  readonly definitionArn: string
  /** What ECS sets for the container, secrets included. */
  readonly environment: Readonly<Record<string, string>>
  /** What Fargate offers for the role of the task, as environment. */
  readonly credentials: Readonly<Record<string, string>>
  readonly rights: readonly Statement[]
}

const servicesSchema = z.object({ services: z.tuple([z.object({ taskDefinition: z.string() })]) })
const definitionSchema = z.object({
  taskDefinition: z.object({
    taskRoleArn: z.string(),
    containerDefinitions: z.tuple([
      z.object({
        environment: z.array(z.object({ name: z.string(), value: z.string() })),
        secrets: z.array(z.object({ name: z.string(), valueFrom: z.string() })),
      }),
    ]),
  }),
})
const assumedSchema = z.object({
  Credentials: z.object({ AccessKeyId: z.string(), SecretAccessKey: z.string(), SessionToken: z.string() }),
})
const policiesSchema = z.object({ PolicyNames: z.array(z.string()) })
const policySchema = z.object({ PolicyDocument: z.object({ Statement: z.array(z.custom<Statement>()) }) })

export async function deployedTask(aws: AwsCommand, cluster: string, service: string): Promise<DeployedTask> {
  const found = await aws('ecs', 'describe-services', '--cluster', cluster, '--services', service)
  const definitionArn = servicesSchema.parse(found).services[0].taskDefinition
  const described = await aws('ecs', 'describe-task-definition', '--task-definition', definitionArn)
  const { taskRoleArn, containerDefinitions } = definitionSchema.parse(described).taskDefinition
  const { environment, secrets } = containerDefinitions[0]
  const plain = environment.map(({ name, value }) => [name, value] as const)
  const read = await Promise.all(
    secrets.map(async ({ name, valueFrom }) => [name, await readSecret(valueFrom)] as const),
  )
  const role = await aws('sts', 'assume-role', '--role-arn', taskRoleArn, '--role-session-name', 'task')
  const { AccessKeyId, SecretAccessKey, SessionToken } = assumedSchema.parse(role).Credentials
  return {
    definitionArn,
    environment: Object.fromEntries([...plain, ...read]),
    credentials: {
      AWS_ACCESS_KEY_ID: AccessKeyId,
      AWS_SECRET_ACCESS_KEY: SecretAccessKey,
      AWS_SESSION_TOKEN: SessionToken,
    },
    rights: await rightsOf(aws, taskRoleArn.replace(/.*\//, '')),
  }
}

async function rightsOf(aws: AwsCommand, role: string): Promise<Statement[]> {
  const { PolicyNames } = policiesSchema.parse(await aws('iam', 'list-role-policies', '--role-name', role))
  const policies = await Promise.all(
    PolicyNames.map((name) => aws('iam', 'get-role-policy', '--role-name', role, '--policy-name', name)),
  )
  return policies.flatMap((policy) => policySchema.parse(policy).PolicyDocument.Statement)
}
