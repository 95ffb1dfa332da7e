/** The `cdk` command of this repository, as a person types it. */
import { readFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod/mini'
import { type CommandResult, runCommand, tryCommand } from '../support/run-command.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const BIN = join(ROOT, 'node_modules', '.bin')
/** On a quiet machine each takes 1 to 4 s. */
const DEADLINE_MS = 120_000

const templateSchema = z.object({
  Resources: z.record(
    z.string(),
    z.object({ Type: z.string(), Properties: z.optional(z.unknown()), DeletionPolicy: z.optional(z.string()) }),
  ),
})
/** What a terminal would ask for. */
const WITHOUT_QUESTIONS: Readonly<Record<string, readonly string[]>> = {
  bootstrap: [],
  deploy: ['--require-approval', 'never'],
  destroy: ['--force'],
}

/** The resources of a template, by logical id. */
export type TemplateResources = z.infer<typeof templateSchema>['Resources']

export interface CdkOptions {
  readonly env: Readonly<Record<string, string>>
  /** For the cloud assembly. */
  readonly folder: string
}

export class Cdk {
  readonly #env: Readonly<Record<string, string>>
  readonly #folder: string

  constructor({ env, folder }: CdkOptions) {
    // cdk.json names tsx, which npm would find.
    this.#env = { ...env, PATH: [BIN, env.PATH].join(delimiter) }
    this.#folder = folder
  }

  /** Synthesises the app of cdk.json. The commands that follow use the result. */
  async synth(context: Readonly<Record<string, string>>): Promise<void> {
    const given = Object.entries(context).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    await runCommand('cdk', ['synth', '-q', '-o', this.#folder, ...given], this.#options)
  }

  /**
   * @param line of a page: `npx cdk deploy --all`
   * @returns its output
   * @throws Error if it fails
   */
  async run(line: string, ...more: string[]): Promise<string> {
    return (await runCommand('cdk', [...this.#arguments(line), ...more], this.#options)).output
  }

  /** As `run`, but any exit code is a result: a protected stack is refused. */
  try(line: string): Promise<CommandResult> {
    return tryCommand('cdk', this.#arguments(line), this.#options)
  }

  /** The resources of a synthesised stack, by logical id. */
  async template(stack: string): Promise<TemplateResources> {
    return templateSchema.parse(await this.#read(`${stack}.template.json`)).Resources
  }

  #arguments(line: string): string[] {
    const [npx, cdk, verb = '', ...rest] = line.split(' ')
    const quiet = WITHOUT_QUESTIONS[verb]
    if (npx !== 'npx' || cdk !== 'cdk' || !quiet) throw new Error(`is no command of cdk that is run here: ${line}`)
    return [verb, ...rest, ...quiet, '--app', this.#folder]
  }

  async #read(name: string): Promise<unknown> {
    return JSON.parse(await readFile(join(this.#folder, name), 'utf8'))
  }

  get #options() {
    return { cwd: ROOT, env: this.#env, deadlineMs: DEADLINE_MS }
  }
}
