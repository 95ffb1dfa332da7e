/** The workflows of GitHub Actions, judged by GitHub's own parser, and by what this project promises of them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { WorkflowTemplate } from '@actions/workflow-parser/model/workflow-template'
import { buildSync } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')
const WORKFLOWS = readdirSync(new URL('.github/workflows/', ROOT)).map((file) => ({
  file,
  text: read(`.github/workflows/${file}`),
}))
const SCRIPTS: Readonly<Record<string, string>> = JSON.parse(read('package.json')).scripts

/** `npm test`, `npm run x` and `npm run -s x`, wherever they are called. */
const scriptsIn = (text: string): string[] =>
  [...text.matchAll(/\bnpm (?:run (?:-s )?([\w:-]+)|(test)\b)/g)].map(([, run, test]) => (run ?? test)!)

type Parser = typeof import('@actions/workflow-parser')

/** It is made for bundlers: Node itself refuses how it imports its JSON. */
function bundledParser(): Parser {
  const folder = mkdtempSync(join(tmpdir(), 'postern-workflows-'))
  try {
    const outfile = join(folder, 'parser.cjs')
    const contents = "export * from '@actions/workflow-parser'"
    const resolveDir = fileURLToPath(new URL('.', import.meta.url))
    buildSync({ stdin: { contents, resolveDir }, outfile, bundle: true, platform: 'node', logLevel: 'warning' })
    return createRequire(import.meta.url)(outfile)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = bundledParser()

async function judged({
  file,
  text,
}: (typeof WORKFLOWS)[number]): Promise<{ errors: string[]; template: WorkflowTemplate }> {
  const { context, value } = parseWorkflow({ name: file, content: text }, new NoOperationTraceWriter())
  if (value === undefined) throw new Error(`${file} is no workflow`)
  const template = await convertWorkflowTemplate(context, value)
  return { errors: context.errors.getErrors().map(({ message }) => message), template }
}

describe.each(WORKFLOWS)('$file', (workflow) => {
  let template: WorkflowTemplate
  let errors: string[]
  beforeAll(async () => {
    ;({ errors, template } = await judged(workflow))
  })
  /** Without what is only said. */
  const code = workflow.text.replace(/^ *#.*$/gm, '')
  const steps = () => template.jobs.flatMap((job) => (job.type === 'job' ? job.steps : []))

  test('is what GitHub takes for a workflow', () => {
    expect(errors).toEqual([])
    expect(template.jobs.length).toBeGreaterThan(0)
  })

  test('calls only scripts that package.json has', () => {
    const called = scriptsIn(workflow.text)
    expect(called.length).toBeGreaterThan(0)
    expect(called.filter((script) => !(script in SCRIPTS))).toEqual([])
  })

  test('needs no secret: what it may do comes from GitHub itself', () => {
    expect(code).not.toMatch(/\bsecrets\b|NPM_TOKEN|NODE_AUTH_TOKEN|AWS_/)
  })

  test('may only read, unless a job says otherwise', () => {
    expect(workflow.text).toMatch(/^permissions:\n {2}contents: read\n\n/m)
  })

  test('names every action by its major tag, or by a commit with the version behind it', () => {
    const uses = [...code.matchAll(/\buses: (.+)$/gm)].map(([, use]) => use!)
    expect(uses.length).toBeGreaterThan(0)
    for (const use of uses) expect(use).toMatch(/^(\.\/[\w./-]+|[\w-]+\/[\w-]+@(v\d+|[0-9a-f]{40} # v[\d.]+))$/)
  })

  test('ends each job by itself', () => {
    const own = template.jobs.filter(({ type }) => type === 'job')
    expect(workflow.text.match(/^ {4}timeout-minutes: \d+$/gm)).toHaveLength(own.length)
  })

  test('has something to do in every step', () => {
    for (const step of steps()) expect('uses' in step || 'run' in step).toBe(true)
  })
})

test('a workflow that is none is told from one', async () => {
  const { errors } = await judged({ file: 'x.yml', text: 'on: push\njobs:\n  a:\n    runs-on: x\n    stepz: []\n' })
  expect(errors.join()).toContain('stepz')
})

describe('what is asked of a change', () => {
  const ci = read('.github/workflows/ci.yml')

  test('is everything that the gate runs on one machine', () => {
    const gate = scriptsIn(read('.ci/run'))
    expect(gate.length).toBeGreaterThan(4)
    expect(scriptsIn(ci)).toEqual(expect.arrayContaining(gate))
    expect(scriptsIn(ci)).toContain('test:localstack')
  })

  test('is tested on the least Node of engines, and on the two lines after it', () => {
    const [, least] = /(\d+\.\d+)/.exec(JSON.parse(read('package.json')).engines.node)!
    expect(/^ +node: \[(.+)\]$/m.exec(ci)?.[1]).toBe(`'${least}', '22', '24'`)
    expect(read('.nvmrc').trim()).toBe(least)
  })
})

describe('a release', () => {
  const release = read('.github/workflows/release.yml')
  const agent = JSON.parse(read('agent/package.json'))
  const workspaces: string[] = JSON.parse(read('package.json')).workspaces

  test('waits for all that is asked of a change', () => {
    expect(release).toMatch(/uses: \.\/\.github\/workflows\/ci\.yml/)
    expect(release).toMatch(/^ {2}version:\n {4}needs: ci$/m)
    expect(release).toMatch(/^ {2}publish:\n {4}needs: version$/m)
    expect(read('.github/workflows/ci.yml')).toMatch(/^ {2}workflow_call:$/m)
  })

  test('may ask for an identity in one job alone, the one that publishes', () => {
    expect(release.match(/id-token: write/g)).toHaveLength(1)
    expect(release.indexOf('id-token: write')).toBeGreaterThan(release.indexOf('\n  publish:'))
  })

  test('is of the agent: no other package may be published', () => {
    const open = workspaces.filter((room) => JSON.parse(read(`${room}/package.json`)).private !== true)
    expect(open).toEqual(['agent'])
    expect(agent.publishConfig).toEqual({ access: 'public' })
    expect(JSON.parse(read('.changeset/config.json')).privatePackages).toEqual({ version: false, tag: false })
  })
})
