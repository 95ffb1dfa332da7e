/** Deployments as they are synthesised from a context, each once for a test file. Knows nothing of what the tests ask of them. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { parseConfig } from '../config.ts'
import { type Deployment, deployment } from '../deployment.ts'

const SETTINGS: { context: Record<string, unknown> } = JSON.parse(
  readFileSync(new URL('../../../cdk.json', import.meta.url), 'utf8'),
)

/** What `cdk` adds, so that these templates are those of `cdk synth`, and `cdk diff --template` can compare with the snapshots. */
const FROM_THE_COMMAND_LINE = {
  'aws:cdk:enable-path-metadata': true,
  'aws:cdk:enable-asset-metadata': true,
}
const DOMAIN = { domain: 'tunnel.example.com', zoneId: 'Z0123456789ABCDEFGHIJ' }
/** The contexts that the tests deploy. */
export const CONTEXT = {
  'no context': {},
  'a domain': { ...DOMAIN, taskCount: '2', mostTasks: '10' },
  'dual stack and everything else': {
    ...DOMAIN,
    dualStack: 'true',
    channelPort: '7443',
    taskCpu: '1024',
    taskMemory: '2048',
    taskCount: '3',
    mostTasks: '3',
    ipPolicy: 'strict',
    accessLog: 'on',
    architecture: 'x86_64',
    alarmEmail: 'ops@example.com',
    nestedNames: 'demo,shop',
    functionConcurrency: 'none',
    canaryToken: 'postern/canary',
  },
  'a prebuilt image': { dataPlaneImage: '123456789012.dkr.ecr.eu-central-1.amazonaws.com/postern:1.2.3' },
} as const
export type ContextName = keyof typeof CONTEXT
export const CONTEXTS = Object.keys(CONTEXT) as ContextName[]

export interface Synthesised extends Deployment {
  readonly app: App
  readonly template: { readonly [stack in keyof Deployment]: Template }
}

const made = new Map<ContextName, Synthesised>()

export function synthesised(name: ContextName): Synthesised {
  const known = made.get(name)
  if (known) return known
  const { app, stacks } = appOf(CONTEXT[name])
  const assembly = app.synth()
  const template = (stack: Deployment[keyof Deployment]) =>
    Template.fromJSON(assembly.getStackByName(stack.stackName).template)
  const synthesis: Synthesised = {
    ...stacks,
    app,
    template: {
      state: template(stacks.state),
      control: template(stacks.control),
      data: template(stacks.data),
      ops: template(stacks.ops),
    },
  }
  made.set(name, synthesis)
  return synthesis
}

/**
 * An app as `cdk synth` makes it, in a folder that goes with the process. The Lambda's bundle and CloudFormation's own rules cost
 * seconds for each synthesis, so that the tests of just these ask for them.
 */
export function appOf(context: Record<string, unknown>, { bundle = false, rules = false } = {}) {
  const outdir = mkdtempSync(join(tmpdir(), 'postern-synth-'))
  process.once('exit', () => rmSync(outdir, { recursive: true, force: true }))
  const app = new App({
    outdir,
    context: {
      ...SETTINGS.context,
      ...FROM_THE_COMMAND_LINE,
      ...(!bundle && { 'aws:cdk:bundling-stacks': [] }),
      ...context,
    },
    analyticsReporting: false,
    builtinCloudFormationValidation: rules,
  })
  return { app, outdir, stacks: deployment(app, parseConfig(app.node.getAllContext())) }
}

/** The properties of the one resource of this type. */
export function onlyProperties(template: Template, type: string): Record<string, unknown> {
  const found = Object.values(template.findResources(type))
  if (found.length !== 1) throw new Error(`${found.length} resources of ${type}`)
  return found[0]!.Properties as Record<string, unknown>
}
