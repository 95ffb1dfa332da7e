/** What a deployed service gives its container: the environment of the task definition that ECS holds, and the rights of its role in IAM. */
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ENV } from '@postern/protocol/environment'
import { readSecret } from '@postern/protocol/store'
import { expect } from 'vitest'
import * as z from 'zod/mini'
import type { Statement } from '../../cdk/lib/testing/rights.ts'
import { type GuardedTable, guardTable } from '../support/guarded-table.ts'
import { TestProcess } from '../support/test-process.ts'
import type { AwsCommand } from './aws-command.ts'
import { ask } from './request.ts'
import { DATA, type Stand } from './stand.ts'

const BUNDLE = fileURLToPath(new URL('../../data-plane/dist/main.js', import.meta.url))
/** On AWS the container has them for itself. */
const PORTS = [ENV.publicPort, ENV.channelPort, ENV.peerPort, ENV.opsPort]

interface DeployedTask {
  /** With its revision. */
  readonly definitionArn: string
  /** What ECS sets for the container, secrets included. */
  readonly environment: Readonly<Record<string, string>>
  /** What Fargate offers for the role of the task, as environment. */
  readonly credentials: Readonly<Record<string, string>>
  readonly rights: readonly Statement[]
}

export interface StartedTask {
  readonly task: DeployedTask
  /** With what the role did, and what it was refused. */
  readonly table: GuardedTable
  readonly ports: Readonly<Record<'public' | 'channel', { readonly port: number }>>
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

/** Starts the bundle with the environment and the rights that are deployed, and what the address of the emulator needs. */
export async function startDeployedTask(stand: Stand, name: string): Promise<StartedTask> {
  const [cluster, service] = await Promise.all(
    ['ClusterName', 'ServiceName'].map((output) => stand.stacks.output(DATA, output)),
  )
  const task = await deployedTask(stand.aws, cluster!, service!)
  const table = await guardTable(stand.env.AWS_ENDPOINT_URL!, task.rights)
  stand.undo(() => table.stop())
  // As the Dockerfile copies it: beside no package.json.
  const script = join(stand.folder, 'main.mjs')
  await copyFile(BUNDLE, script)
  const process = new TestProcess({
    name,
    args: [script],
    env: {
      ...task.environment,
      ...task.credentials,
      AWS_ENDPOINT_URL_DYNAMODB: table.endpoint,
      // A task has an address of its own; this process shares one.
      [ENV.publicHosts]: '127.0.0.1',
      ...Object.fromEntries(PORTS.map((port) => [port, '0'])),
    },
  })
  // A task that is asked to stop drains for two minutes.
  stand.undo(() => process.stop(0))
  const ports = JSON.parse(await process.firstLine())
  expect(await ask({ port: ports.ops.port, host: 'task', path: '/readyz' })).toMatchObject({ status: 200 })
  return { task, table, ports }
}

async function deployedTask(aws: AwsCommand, cluster: string, service: string): Promise<DeployedTask> {
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
