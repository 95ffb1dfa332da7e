/** What ECS would give a container, out of the synthesised task definition. Knows nothing of what the variables mean. */
import * as z from 'zod/mini'
import type { TemplateResources } from './cdk.ts'

export interface Surroundings {
  readonly region: string
  readonly account: string
  /** What the stacks that are deployed have exported. */
  readonly exports: ReadonlyMap<string, string>
}

export interface TaskEnvironment {
  readonly variables: Readonly<Record<string, string>>
  /** Variables whose values ECS reads in Secrets Manager at the start of the task, and the ARNs of those. */
  readonly secrets: Readonly<Record<string, string>>
}

const taskDefinitionSchema = z.object({
  ContainerDefinitions: z.array(
    z.object({
      Name: z.string(),
      Environment: z.array(z.object({ Name: z.string(), Value: z.unknown() })),
      Secrets: z._default(z.array(z.object({ Name: z.string(), ValueFrom: z.unknown() })), []),
    }),
  ),
})

/**
 * @param name of the container
 * @throws Error if a value refers to what no deployed stack has: the process could not run without the rest of AWS
 */
export function taskEnvironment(
  resources: TemplateResources,
  name: string,
  surroundings: Surroundings,
): TaskEnvironment {
  const tasks = Object.values(resources).filter(({ Type }) => Type === 'AWS::ECS::TaskDefinition')
  const containers = tasks.flatMap(({ Properties }) => taskDefinitionSchema.parse(Properties).ContainerDefinitions)
  const container = containers.find(({ Name }) => Name === name)
  if (!container)
    throw new Error(`no container ${name}, only ${containers.map((other) => other.Name).join(', ') || 'none'}`)
  const { Environment, Secrets } = container
  return {
    variables: Object.fromEntries(Environment.map(({ Name, Value }) => [Name, resolve(Value, surroundings)])),
    secrets: Object.fromEntries(Secrets.map(({ Name, ValueFrom }) => [Name, resolve(ValueFrom, surroundings)])),
  }
}

/** The functions of CloudFormation that the CDK writes for a value of another stack. */
function resolve(value: unknown, surroundings: Surroundings): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  const [[name, argument] = ['nothing', undefined], ...more] = Object.entries(value ?? {})
  const list = (): unknown[] => (Array.isArray(argument) ? argument : [])
  if (more.length === 0) {
    if (name === 'Ref' && argument === 'AWS::Region') return surroundings.region
    if (name === 'Ref' && argument === 'AWS::AccountId') return surroundings.account
    if (name === 'Ref' && argument === 'AWS::Partition') return 'aws'
    if (name === 'Fn::ImportValue') return imported(resolve(argument, surroundings), surroundings)
    if (name === 'Fn::Join') return join(list(), surroundings)
    if (name === 'Fn::Select') return select(list(), surroundings)
  }
  throw new Error(`cannot be resolved from what is deployed: ${JSON.stringify(value)}`)
}

function imported(name: string, { exports }: Surroundings): string {
  const value = exports.get(name)
  if (value === undefined) throw new Error(`nothing exports ${name}`)
  return value
}

const join = ([separator, parts]: unknown[], surroundings: Surroundings): string =>
  texts(parts, surroundings).join(String(separator))

const select = ([index, parts]: unknown[], surroundings: Surroundings): string =>
  texts(parts, surroundings)[Number(index)] ?? ''

function texts(value: unknown, surroundings: Surroundings): string[] {
  if (Array.isArray(value)) return value.map((part) => resolve(part, surroundings))
  const split = (value as { 'Fn::Split'?: [string, unknown] } | null)?.['Fn::Split']
  if (!split) throw new Error(`is no list of texts: ${JSON.stringify(value)}`)
  return resolve(split[1], surroundings).split(split[0])
}
