/** The `cdk` command of this repository, as a person types it. Knows nothing of what the app holds. */
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
const imagesSchema = z.object({
  dockerImages: z.record(z.string(), z.object({ source: z.object({ directory: z.string() }) })),
})

/** The resources of a template by logical id, as far as anybody here looks. */
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

  /** Synthesises the app of cdk.json; what follows uses the result. */
  async synth(context: Readonly<Record<string, string>>): Promise<void> {
    const given = Object.entries(context).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    await runCommand('cdk', ['synth', '-q', '-o', this.#folder, ...given], this.#options)
  }

  /** @returns what the command said */
  async bootstrap(): Promise<string> {
    return (await runCommand('cdk', ['bootstrap', '--app', this.#folder], this.#options)).output
  }

  async deploy(...stacks: string[]): Promise<string> {
    const args = ['deploy', ...stacks, '--app', this.#folder, '--require-approval', 'never']
    return (await runCommand('cdk', args, this.#options)).output
  }

  /** Any exit code is an answer: a protected stack is refused. */
  destroy(stack: string): Promise<CommandResult> {
    return tryCommand('cdk', ['destroy', stack, '--exclusively', '--force', '--app', this.#folder], this.#options)
  }

  /** The folder that the one image of `stack` is built from. */
  async imageFolder(stack: string): Promise<string> {
    const { dockerImages } = imagesSchema.parse(await this.#read(`${stack}.assets.json`))
    const [image, ...others] = Object.values(dockerImages)
    if (!image || others.length > 0) throw new Error(`${stack} has ${others.length + (image ? 1 : 0)} images, not one`)
    return join(this.#folder, image.source.directory)
  }

  /** The resources of a synthesised stack, by logical id. */
  async template(stack: string): Promise<TemplateResources> {
    return templateSchema.parse(await this.#read(`${stack}.template.json`)).Resources
  }

  async #read(name: string): Promise<unknown> {
    return JSON.parse(await readFile(join(this.#folder, name), 'utf8'))
  }

  get #options() {
    return { cwd: ROOT, env: this.#env, deadlineMs: DEADLINE_MS }
  }
}
