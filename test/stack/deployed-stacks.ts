/** What CloudFormation says of the stacks. Knows nothing of how they were deployed. */
import {
  CloudFormationClient,
  CreateStackCommand,
  DeleteStackCommand,
  DescribeStackResourcesCommand,
  DescribeStacksCommand,
  paginateDescribeStackEvents,
  paginateListExports,
  type StackResource,
  UpdateTerminationProtectionCommand,
  waitUntilStackCreateComplete,
  waitUntilStackDeleteComplete,
} from '@aws-sdk/client-cloudformation'

/** For what an emulator does at once. */
const DEADLINE_S = 30

export class DeployedStacks {
  readonly #client: CloudFormationClient

  constructor(env: Readonly<Record<string, string>>) {
    this.#client = new CloudFormationClient({
      endpoint: env.AWS_ENDPOINT_URL!,
      region: env.AWS_REGION!,
      credentials: { accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! },
    })
  }

  async resources(stack: string): Promise<readonly StackResource[]> {
    const { StackResources } = await this.#client.send(new DescribeStackResourcesCommand({ StackName: stack }))
    return StackResources ?? []
  }

  /** Names in a stack's outputs may have a hash at their end: the first that begins so. */
  async output(stack: string, beginning: string): Promise<string> {
    const { Outputs = [] } = await this.#describe(stack)
    const value = Outputs.find(({ OutputKey = '' }) => OutputKey.startsWith(beginning))?.OutputValue
    if (value === undefined)
      throw new Error(`${stack} has no output ${beginning}…: ${Outputs.map(({ OutputKey }) => OutputKey).join(', ')}`)
    return value
  }

  /** What other stacks may import, by name. */
  async exports(): Promise<ReadonlyMap<string, string>> {
    const values = new Map<string, string>()
    for await (const { Exports = [] } of paginateListExports({ client: this.#client }, {}))
      for (const { Name, Value } of Exports) if (Name !== undefined && Value !== undefined) values.set(Name, Value)
    return values
  }

  /** @returns false if there is no such stack */
  async exists(stack: string): Promise<boolean> {
    try {
      const { StackStatus } = await this.#describe(stack)
      return StackStatus !== 'DELETE_COMPLETE'
    } catch (error) {
      if (error instanceof Error && error.name === 'ValidationError') return false
      throw error
    }
  }

  /** Good for asking after the stack when it is gone. */
  async id(stack: string): Promise<string> {
    return (await this.#describe(stack)).StackId!
  }

  /**
   * What became of the resources when the stack was deleted.
   * @returns their logical ids by status: DELETE_COMPLETE, DELETE_SKIPPED for what is retained
   */
  async deletions(id: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const ids = new Map<string, Set<string>>()
    // Events of the stack itself are among them.
    for await (const { StackEvents = [] } of paginateDescribeStackEvents({ client: this.#client }, { StackName: id }))
      for (const { ResourceStatus = '', LogicalResourceId = '', PhysicalResourceId } of StackEvents)
        if (/^DELETE_(COMPLETE|SKIPPED|FAILED)$/.test(ResourceStatus) && PhysicalResourceId !== id)
          ids.set(ResourceStatus, (ids.get(ResourceStatus) ?? new Set()).add(LogicalResourceId))
    return ids
  }

  /** A protected stack cannot be destroyed, by nobody and by no mistake. */
  async unprotect(stack: string): Promise<void> {
    const change = { StackName: stack, EnableTerminationProtection: false }
    await this.#client.send(new UpdateTerminationProtectionCommand(change))
  }

  /** Deletes a stack and waits until it is gone. Harmless when there is none. */
  async remove(stack: string): Promise<void> {
    if (!(await this.exists(stack))) return
    await this.unprotect(stack)
    const id = { StackName: await this.id(stack) }
    await this.#client.send(new DeleteStackCommand(id))
    await waitUntilStackDeleteComplete(this.#patience, id)
  }

  /** A stack with one hosted zone. @returns the id of the zone */
  async makeZone(stack: string, domain: string): Promise<string> {
    const template = {
      Resources: { Zone: { Type: 'AWS::Route53::HostedZone', Properties: { Name: domain } } },
      Outputs: { ZoneId: { Value: { Ref: 'Zone' } } },
    }
    const named = { StackName: stack }
    await this.#client.send(new CreateStackCommand({ ...named, TemplateBody: JSON.stringify(template) }))
    await waitUntilStackCreateComplete(this.#patience, named)
    return this.output(stack, 'ZoneId')
  }

  close(): void {
    this.#client.destroy()
  }

  get #patience() {
    return { client: this.#client, maxWaitTime: DEADLINE_S, minDelay: 1, maxDelay: 1 }
  }

  async #describe(stack: string) {
    const { Stacks = [] } = await this.#client.send(new DescribeStacksCommand({ StackName: stack }))
    if (!Stacks[0]) throw new Error(`there is no stack ${stack}`)
    return Stacks[0]
  }
}
