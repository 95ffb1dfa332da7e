import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type App, CfnResource, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { describe, expect, test } from 'vitest'
import { appOf, CONTEXT, CONTEXTS, synthesised } from './testing/synthesised.ts'

type Template = { Resources: Record<string, { Type: string }>; Outputs?: Record<string, { Value: unknown }> }
const json = (context: (typeof CONTEXTS)[number]) => {
  const { template } = synthesised(context)
  return Object.fromEntries(Object.entries(template).map(([stack, of]) => [stack, of.toJSON() as Template]))
}

describe('the order of the stacks', () => {
  test.each(CONTEXTS)('nothing refers from the control plane to the data plane: it deploys alone (%s)', (context) => {
    const imports = (stack: string) =>
      new Set([...JSON.stringify(json(context)[stack]).matchAll(/"Fn::ImportValue":"(\w+):/g)].map(([, from]) => from))
    expect(imports('state')).toEqual(new Set())
    expect(imports('control')).toEqual(new Set(['PosternState']))
    expect(imports('data')).toEqual(new Set(['PosternState']))
  })

  test('the control plane is updated before the tasks, which refuse the ids of an older one', () => {
    const { control, data } = synthesised('a domain')
    expect(data.dependencies).toContain(control)
    expect(control.dependencies).not.toContain(data)
  })

  test('nothing refers to the alarms: they may go at any time', () => {
    const { state, control, data } = synthesised('a domain')
    for (const stack of [state, control, data]) {
      expect(stack.dependencies.map(({ stackName }) => stackName)).not.toContain('PosternOps')
    }
  })
})

describe('what a template must not need', () => {
  test.each(CONTEXTS)('neither account nor region, and no look-up: synthesis needs no credentials (%s)', (context) => {
    const { app } = synthesised(context)
    const assembly = app.synth()
    expect(assembly.manifest.missing ?? []).toEqual([])
    for (const { environment } of assembly.stacks) {
      expect(environment).toMatchObject({ account: 'unknown-account', region: 'unknown-region' })
    }
  })

  test('a prebuilt image needs no Docker at deployment either: no image is an asset', () => {
    const images = (context: (typeof CONTEXTS)[number]) => {
      const { app, data } = synthesised(context)
      const { directory } = app.synth()
      const assets = JSON.parse(readFileSync(join(directory, `${data.stackName}.assets.json`), 'utf8'))
      return Object.keys(assets.dockerImages ?? {})
    }
    expect(images('a prebuilt image')).toHaveLength(0)
    expect(images('no context')).toHaveLength(1)
  })

  test('nor a custom resource, whose function would be one more thing to keep up', () => {
    for (const context of CONTEXTS) {
      for (const { Resources } of Object.values(json(context))) {
        const custom = Object.values(Resources).filter(({ Type }) => /^Custom::|CustomResource$/.test(Type))
        expect(custom).toEqual([])
      }
    }
  })
})

test("CloudFormation's own rules find nothing wrong in the smallest deployment and in the fullest", () => {
  // In one test: their engine takes two seconds to start.
  for (const context of ['no context', 'dual stack and everything else'] as const) {
    const { app, outdir } = appOf(CONTEXT[context], { rules: true })
    app.synth()
    const { pluginReports } = JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8'))
    expect(pluginReports.flatMap((report: { violations: unknown[] }) => report.violations)).toEqual([])
  }
})

describe('the rules of AwsSolutions', () => {
  const findings = (app: App, rules: AwsSolutionsChecks) =>
    (rules.validateScope(app).violations ?? []).flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} ${constructPath}`),
    )

  test.each(CONTEXTS)(
    'find nothing that is not acknowledged (%s)',
    (context) => {
      const { app } = synthesised(context)
      expect(findings(app, new AwsSolutionsChecks(app))).toEqual([])
    },
    120_000,
  )

  test('find everything that is acknowledged: no acknowledgement has outlived its reason', () => {
    const { app } = synthesised('a domain')
    const found = findings(app, Object.assign(new AwsSolutionsChecks(app), { isAcknowledged: () => false }))
    const stale = acknowledgements(app).filter(
      ({ id, path }) => !found.some((finding) => finding.startsWith(`${id} ${path}`)),
    )
    expect(stale).toEqual([])
  })

  test('are acknowledged with a reason of at least a sentence', () => {
    const all = acknowledgements(synthesised('a domain').app)
    expect(all.length).toBeGreaterThan(0)
    for (const { reason } of all) expect(reason).toMatch(/^\S.{30,}\.$/s)
  })

  function acknowledgements(app: App) {
    return app.node.findAll().flatMap((construct) =>
      construct.node.metadata
        .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
        .flatMap(({ data }) => Object.entries(data as Record<string, string>))
        .map(([id, reason]) => ({ id: id.replace(/^\w+::/, ''), reason, path: construct.node.path }))
        // The CDK acknowledges some of CloudFormation's rules itself.
        .filter(({ id }) => id.startsWith('AwsSolutions-')),
    )
  }
})

describe('nothing changes unnoticed', () => {
  /** Hashes of bundle and image change with every line of code, and the bundle's path with the machine. */
  const masked = (template: Template) => {
    const text = JSON.stringify(template, (key, value) => (key === 'aws:asset:path' ? '<asset>' : value), 1)
    return `${text.replace(/\b[0-9a-f]{64}\b/g, '<asset>')}\n`
  }

  test.each([
    ['no context', 'plain'],
    ['a domain', 'domain'],
  ] as const)('the templates of %s are those of the last snapshot', async (context, folder) => {
    for (const [stack, template] of Object.entries(json(context))) {
      await expect(masked(template)).toMatchFileSnapshot(`snapshots/${folder}/${stack}.template`)
    }
  })

  test('a resource that must outlive its template keeps its logical id, or a new one would be made', () => {
    const { state } = synthesised('no context')
    const kept = state.node
      .findAll()
      .filter((one): one is CfnResource => CfnResource.isCfnResource(one))
      .map((one) => [one.cfnResourceType, state.resolve(one.logicalId)])
    expect(kept).toEqual([
      ['AWS::DynamoDB::Table', 'TableCD117FA1'],
      ['AWS::SecretsManager::Secret', 'ChannelSecretC93805EE'],
      ['AWS::SecretsManager::Secret', 'HopSecret9171FC26'],
      ['AWS::SecretsManager::Secret', 'GrantSecret9DB446BD'],
      ['AWS::EC2::EIP', 'Address1'],
      ['AWS::EC2::EIP', 'Address2'],
    ])
  })
})
