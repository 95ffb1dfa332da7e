/** What the suites have in common: a folder, the command of the CDK, the stacks as they are deployed, and a person's programs. Knows nothing of their order. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  DeleteTableCommand,
  DynamoDBClient,
  ResourceNotFoundException,
  UpdateTableCommand,
} from '@aws-sdk/client-dynamodb'
import { type CommandResult, tryCommand } from '../support/run-command.ts'
import { TestProcess } from '../support/test-process.ts'
import { type AwsCommand, awsCommand } from './aws-command.ts'
import { Cdk } from './cdk.ts'
import { DeployedStacks } from './deployed-stacks.ts'
import { type Answer, ask } from './request.ts'

export const STATE = 'PosternState'
export const CONTROL = 'PosternControl'
export const DATA = 'PosternData'
export const OPS = 'PosternOps'
/** In the order of `cdk deploy --all`. */
export const STACKS = [STATE, CONTROL, DATA, OPS]

const NAMES = new URL('names.mjs', import.meta.url).href
const TUNNEL_ADMIN = fileURLToPath(new URL('../../admin/bin/tunnel-admin.js', import.meta.url))
const ADMIN_DEADLINE_MS = 60_000

export class Stand {
  readonly folder: string
  readonly env: Readonly<Record<string, string>>
  readonly cdk: Cdk
  readonly aws: AwsCommand
  readonly stacks: DeployedStacks
  /** These, and all below them, lead to this machine. */
  readonly names = ['localhost']
  readonly #undo: (() => unknown)[] = []

  private constructor(folder: string, env: Readonly<Record<string, string>>) {
    this.folder = folder
    this.env = env
    this.cdk = new Cdk({ env, folder: join(folder, 'cdk.out') })
    this.aws = awsCommand(env)
    this.stacks = new DeployedStacks(env)
    this.undo(() => rm(folder, { recursive: true, force: true }))
    this.undo(() => this.stacks.close())
  }

  /**
   * @param env that leads to the emulator
   * @throws Error if Postern is deployed there already
   */
  static async start(env: Readonly<Record<string, string>>): Promise<Stand> {
    const stand = new Stand(await mkdtemp(join(tmpdir(), 'postern-stack-')), env)
    if (!(await stand.stacks.exists(STATE))) return stand
    await stand.stop()
    throw new Error(`${env.AWS_ENDPOINT_URL} has a ${STATE} already, which this would change and destroy`)
  }

  /** Adds what is to be done at the end, the last first. */
  undo(step: () => unknown): void {
    this.#undo.push(step)
  }

  /** Ends and removes all there is. Harmless when repeated. */
  async stop(): Promise<void> {
    for (const step of this.#undo.splice(0).reverse()) await step()
  }

  /**
   * Where the API of the control plane is here. Another emulator may tell the URL that AWS would have, which leads nowhere; the id of the
   * API is in it. @returns as `--server`
   */
  executeApi(url: string): string {
    const [api] = new URL(url).hostname.split('.')
    return `http://${api}.execute-api.localhost:${new URL(this.env.AWS_ENDPOINT_URL!).port}`
  }

  /** A call of the API, through the emulated API Gateway. */
  call(server: string, method: string, path: string, token: string, body?: unknown): Promise<Answer> {
    const { port, host } = new URL(server)
    return ask({ port: Number(port), host, method, path, token, body })
  }

  /** `npx tunnel-admin …`; any exit code is an answer. */
  tunnelAdmin(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    return tryCommand(process.execPath, [TUNNEL_ADMIN, ...args], {
      env: { ...this.#outside, ...more },
      deadlineMs: ADMIN_DEADLINE_MS,
    })
  }

  /** A program of somebody who knows the deployment by its names alone. @param args for Node */
  run(name: string, args: readonly string[], more: Readonly<Record<string, string>>): TestProcess {
    const process = new TestProcess({ name, args, env: { ...this.#outside, ...more } })
    this.undo(() => process.stop())
    return process
  }

  /** For good: the table of a deployment outlives it, and is protected even then. Harmless when it is gone. */
  async removeTable(name: string): Promise<void> {
    const client = new DynamoDBClient({ region: this.env.AWS_REGION! })
    try {
      await client.send(new UpdateTableCommand({ TableName: name, DeletionProtectionEnabled: false }))
      await client.send(new DeleteTableCommand({ TableName: name }))
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) throw error
    } finally {
      client.destroy()
    }
  }

  get #outside(): Record<string, string> {
    return {
      ...this.env,
      NODE_OPTIONS: `--import ${NAMES}`,
      POSTERN_TEST_NAMES: this.names.join(','),
      // The person's own profiles stay out of it.
      XDG_CONFIG_HOME: join(this.folder, 'config'),
    }
  }
}
