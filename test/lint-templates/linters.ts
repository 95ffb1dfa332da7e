/** Runs cfn-lint, checkov and hadolint over a folder of templates and a Dockerfile. */
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as z from 'zod/mini'
import { pythonEnvironment } from '../support/python-environment.ts'
import { tryCommand } from '../support/run-command.ts'
import type { Finding } from './finding.ts'

const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url))
/** 470 MB: one installation for all working copies of the repository. */
const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'postern')
/** checkov takes 10 s on a quiet machine. */
const DEADLINE_MS = 300_000

/** Runs a linter, whose exit code says only that it has found something. @returns what it printed, as JSON */
export type RunLinter = (name: 'cfn-lint' | 'checkov' | 'hadolint', ...args: string[]) => Promise<unknown>

/** @throws Error that says what is missing on this machine */
export async function installLinters(): Promise<RunLinter> {
  const bin = dirname(await pythonEnvironment('linters', REQUIREMENTS, CACHE))
  return async (name, ...args) => {
    const { stdout, output } = await tryCommand(join(bin, name), args, { deadlineMs: DEADLINE_MS })
    try {
      return JSON.parse(stdout)
    } catch (cause) {
      throw new Error(`${name} fails:\n${output}`, { cause })
    }
  }
}

const cfnLintSchema = z.array(
  z.object({
    Filename: z.string(),
    Message: z.string(),
    Rule: z.object({ Id: z.string() }),
    Location: z.object({ Path: z.nullable(z.array(z.union([z.string(), z.number()]))) }),
  }),
)

/** @param typeOf the type of a resource of a template */
export async function cfnLint(
  run: RunLinter,
  files: readonly string[],
  typeOf: (file: string, logicalId: string) => string,
): Promise<Finding[]> {
  const found = cfnLintSchema.parse(await run('cfn-lint', '--format', 'json', ...files))
  return found.map(({ Filename, Message, Rule, Location }) => {
    const [section = '', name = ''] = (Location.Path ?? []).map(String)
    const subject = section === 'Resources' ? typeOf(Filename, name) : section.replace(/s$/, '')
    return { rule: Rule.Id, subject, place: `${basename(Filename)} ${name}`, message: Message }
  })
}

const checkovSchema = z.array(
  z.object({
    results: z.object({
      failed_checks: z.array(
        z.object({ check_id: z.string(), check_name: z.string(), resource: z.string(), file_path: z.string() }),
      ),
    }),
    summary: z.object({ parsing_errors: z.number(), resource_count: z.number() }),
  }),
)

/** @returns the findings in every template and Dockerfile of a folder, and how many resources were checked */
export async function checkov(run: RunLinter, folder: string): Promise<{ findings: Finding[]; resources: number }> {
  const frameworks = ['--framework', 'cloudformation', 'dockerfile']
  // What it would download are texts for its own service.
  const printed = await run('checkov', '-d', folder, ...frameworks, '-o', 'json', '--quiet', '--skip-download')
  const reports = checkovSchema.parse(Array.isArray(printed) ? printed : [printed])
  const findings = reports.flatMap(({ results }) =>
    results.failed_checks.map(({ check_id, check_name, resource, file_path }) => {
      const [subject = '', name = ''] = resource.split('.')
      const type = subject.startsWith('AWS::') ? subject : 'Dockerfile'
      return { rule: check_id, subject: type, place: `${basename(file_path)} ${name}`, message: check_name }
    }),
  )
  const total = (of: 'parsing_errors' | 'resource_count') => reports.reduce((sum, { summary }) => sum + summary[of], 0)
  if (total('parsing_errors') > 0) throw new Error('checkov cannot read every file')
  return { findings, resources: total('resource_count') }
}

const hadolintSchema = z.array(z.object({ code: z.string(), line: z.number(), message: z.string() }))

export async function hadolint(run: RunLinter, dockerfile: string): Promise<Finding[]> {
  const found = hadolintSchema.parse(await run('hadolint', '--format', 'json', dockerfile))
  return found.map(({ code, line, message }) => ({
    rule: code,
    subject: 'Dockerfile',
    place: `${basename(dockerfile)}:${line}`,
    message,
  }))
}
