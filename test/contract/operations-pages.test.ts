/** What docs/operations.md, docs/scaling.md and the pages beside them tell people to type and to believe, held against the stacks and the limits. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import * as limits from '@postern/protocol/limits'
import { TABLE } from '@postern/protocol/tables'
import { parseDeploymentKeys } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { parseConfig } from '../../cdk/lib/config.ts'
import { type ContextName, synthesised } from '../../cdk/lib/testing/synthesised.ts'

const ROOT = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8')
const PAGES = ['README.md', 'docs/operations.md', 'docs/runbook.md', 'docs/scaling.md', 'docs/cost.md'].map((page) => ({
  page,
  text: read(page),
}))
const OPERATIONS = read('docs/operations.md')
const SCALING = read('docs/scaling.md')
const { scripts } = JSON.parse(read('package.json'))

interface Resource {
  readonly Type: string
  readonly Properties: Readonly<Record<string, unknown>>
}
const stacksOf = (context: ContextName) => {
  const { state, control, data, ops, template } = synthesised(context)
  return new Map(
    Object.entries({ state, control, data, ops }).map(([key, { stackName }]) => [
      stackName,
      template[key as keyof typeof template].toJSON() as {
        Outputs: Record<string, unknown>
        Resources: Record<string, Resource>
      },
    ]),
  )
}
const STACKS = stacksOf('dual stack and everything else')
const resources = (context: ContextName, type: string): Resource[] =>
  [...stacksOf(context).values()].flatMap(({ Resources }) =>
    Object.values(Resources).filter((resource) => resource.Type === type),
  )
/** The one number that a property of the only resource of a type has. */
const property = (type: string, of: (properties: Readonly<Record<string, unknown>>) => unknown): unknown[] => [
  ...new Set(resources('a domain', type).map(({ Properties }) => of(Properties))),
]

describe.each(PAGES)('$page', ({ text }) => {
  test('names stacks and outputs that there are', () => {
    for (const [, stack, output] of text.matchAll(/\$\(output (\w+) (\w+)\)|\(output `(?:\w+)` of `(?:\w+)`\)/g)) {
      if (stack)
        expect([stack, Object.keys(STACKS.get(stack)?.Outputs ?? {})]).toEqual([
          stack,
          expect.arrayContaining([output]),
        ])
    }
    for (const [, output, stack] of text.matchAll(/`(\w+)` of `(Postern\w+)`/g)) {
      const { Outputs, Resources } = STACKS.get(stack!)!
      expect([...Object.keys(Outputs), ...Object.keys(Resources)].join(' ')).toContain(output)
    }
    for (const [name] of text.matchAll(/\bPostern(State|Control|Data|Ops|[A-Z][a-z]+)\b/g)) {
      expect([...STACKS.keys()]).toContain(name)
    }
  })

  test('calls commands of cdk with context keys that there are', () => {
    const known = ['bootstrap', 'deploy', 'destroy', 'diff', 'drift', 'gc', 'synth']
    for (const [, verb] of text.matchAll(/npx cdk ([a-z]+)/g)) expect(known).toContain(verb)
    for (const [, key] of text.matchAll(/-c (\w+)=?/g)) {
      expect(() => parseConfig({ [key!]: { wrong: true } })).toThrow(
        expect.not.objectContaining({ message: expect.stringMatching(/unrecognized/i) }),
      )
    }
  })

  test('calls scripts of npm that there are', () => {
    for (const [, script] of text.matchAll(/\bnpm run (?:-s )?([\w:-]+)/g)) expect(scripts).toHaveProperty([script!])
  })

  test('links to pages and headings that there are', () => {
    for (const [, link] of text.matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
      const [file, heading] = link!.split('#')
      const from = text === PAGES[0]!.text ? '' : 'docs/'
      const page = file === '' ? text : file!.endsWith('/') ? '' : read(`${from}${file}`)
      if (heading === undefined) continue
      const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
        title!
          .toLowerCase()
          .replace(/[^\w\- ]/g, '')
          .replaceAll(' ', '-'),
      )
      expect(anchors).toContain(heading)
    }
  })
})

test('a context key that there is not is told from one', () => {
  expect(() => parseConfig({ taskCount: { wrong: true } })).toThrow(
    expect.not.objectContaining({ message: expect.stringMatching(/unrecognized/i) }),
  )
  expect(() => parseConfig({ taskCounts: 3 })).toThrow(/unrecognized/i)
})

describe('the rotation of keys, as docs/operations.md has it', () => {
  const script = /Line by line.*?```sh\n(.+?)```/s.exec(OPERATIONS)![1]!
  const [, program] = /node -e "(.+?)"/.exec(OPERATIONS)!
  const lines = script.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

  /** What `change '<expression>'` makes of a secret, by the page's own program. */
  const changed = (secret: string, expression: string): string =>
    execFileSync(process.execPath, ['-e', program!.replace('$1', () => expression)], {
      input: secret,
      encoding: 'utf8',
    })

  test('adds, rolls, makes current, waits, rolls, waits, drops, in this order', () => {
    expect(lines.map((line) => line.replace(/ .*/, ''))).toEqual([
      ...['change', 'renew', 'roll', 'change', 'renew', 'sleep', 'roll', 'sleep', 'change', 'renew', 'roll'],
    ])
    const waits = lines.filter((line) => line.startsWith('sleep')).map((line) => 1000 * Number(line.split(' ')[1]))
    for (const wait of waits)
      expect(wait).toBeGreaterThanOrEqual(2 * Math.max(limits.TICKET_LIFE_MS, limits.OBSERVATION_LIFE_MS))
  })

  test('makes secrets that both planes take, and never uses a key before it is accepted or drops one in use', () => {
    const first = JSON.stringify({ current: 'ab'.repeat(32), accepted: [] })
    const expressions = lines.flatMap((line) => /^change '(.+)'$/.exec(line)?.[1] ?? [])
    expect(expressions).toHaveLength(3)
    const secrets = [first]
    for (const expression of expressions) secrets.push(changed(secrets.at(-1)!, expression))
    for (const secret of secrets) expect(() => parseDeploymentKeys(secret)).not.toThrow()
    const [before, added, current, dropped] = secrets.map((secret) => JSON.parse(secret))
    expect(added.current).toBe(before.current)
    expect(added.accepted).toHaveLength(1)
    expect(added.accepted[0]).not.toBe(before.current)
    expect(current).toEqual({ current: added.accepted[0], accepted: [before.current] })
    expect(dropped).toEqual({ current: current.current, accepted: [] })
  })

  test('mends a lost secret by an expression of the same kind', () => {
    const expression = /needs no order: `change '(.+?)'`/.exec(OPERATIONS)![1]!
    expect(() => parseDeploymentKeys(changed('{}', expression))).not.toThrow()
  })
})

test('a restored table gets back what a restore leaves out, by the names of the table', () => {
  expect(OPERATIONS).toContain(`AttributeName=${TABLE.timeToLive}`)
  const [table] = resources('a domain', 'AWS::DynamoDB::Table')
  expect(table!.Properties).toMatchObject({
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    DeletionProtectionEnabled: true,
    TimeToLiveSpecification: { Enabled: true },
  })
  expect(OPERATIONS).toMatch(/--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true/)
  expect(OPERATIONS).toMatch(/--deletion-protection-enabled/)
  expect(OPERATIONS).toContain(`key-condition-expression '${TABLE.partitionKey} = :pk'`)
})

describe('docs/scaling.md', () => {
  const TARGETS = 500
  const cells = (label: string): string[] => {
    const row = SCALING.split('\n').find((line) => line.startsWith(`| ${label} |`))
    if (row === undefined) throw new Error(`no row "${label}"`)
    return row
      .split('|')
      .slice(2, -1)
      .map((cell) => cell.trim())
  }
  const english = (n: number): string => n.toLocaleString('en-US')
  const groups = (['a domain', 'no context'] as const).map(
    (context) => resources(context, 'AWS::ElasticLoadBalancingV2::TargetGroup').length,
  )

  test('counts the targets of a task by the target groups that are deployed', () => {
    expect(cells('target groups')).toEqual(groups.map(String))
    expect(cells('tasks that 500 targets hold')).toEqual(groups.map((n) => String(Math.floor(TARGETS / n))))
    const together = groups.map((n) => Math.floor(TARGETS / n / 2))
    expect(cells('of these, while a deployment runs old and new tasks side by side')).toEqual(together.map(String))
    expect(cells('tunnels, 1,000 a task')).toEqual(together.map((n) => english(n * 1000)))
  })

  test('has the ceiling of tasks, and the share of a deployment, as they are deployed', () => {
    expect(() => parseConfig({ mostTasks: 150 })).not.toThrow()
    expect(() => parseConfig({ mostTasks: 151 })).toThrow()
    expect(
      property(
        'AWS::ECS::Service',
        ({ DeploymentConfiguration }) => (DeploymentConfiguration as { MaximumPercent: number }).MaximumPercent,
      ),
    ).toEqual([200])
    expect(150 * groups[0]! * 2).toBe(900)
  })

  test('has the targets of scaling as they are deployed', () => {
    const targetsOf = (context: ContextName) =>
      resources(context, 'AWS::ApplicationAutoScaling::ScalingPolicy')
        .map(
          ({ Properties }) =>
            (Properties as { TargetTrackingScalingPolicyConfiguration: { TargetValue: number } })
              .TargetTrackingScalingPolicyConfiguration.TargetValue,
        )
        .sort((a, b) => b - a)
    const [whole, quarter] = [targetsOf('dual stack and everything else'), targetsOf('no context')]
    expect(cells('tunnels that scaling aims at').slice(0, 2)).toEqual([whole[0], quarter[0]].map((n) => english(n!)))
    expect(cells('share of the processor that scaling aims at').slice(0, 2)).toEqual([
      `${whole[1]} %`,
      `${quarter[1]} %`,
    ])
  })

  test('has the limits of a task', () => {
    expect(cells('connections of visitors')[0]).toBe(english(limits.VISITORS_PER_TASK))
    expect(cells('openings under way')[0]).toBe(english(limits.OPENINGS_PER_TASK))
    expect(cells('requests at once through one channel')[0]).toBe(english(limits.STREAMS_PER_CHANNEL))
  })

  test('has the throttle of tickets that is deployed, and what follows from it', () => {
    const [throttle] = property('AWS::ApiGatewayV2::Stage', ({ RouteSettings }) =>
      JSON.stringify((RouteSettings as Record<string, unknown>)['POST /v1/tickets']),
    )
    const { ThrottlingRateLimit: rate, ThrottlingBurstLimit: burst } = JSON.parse(throttle as string)
    expect(cells('rate of `POST /v1/tickets`')).toEqual([`${rate} calls a second, ${english(burst)} at once (set)`])
    expect(cells('tunnels that are back within 60 s')).toEqual([english(60 * rate)])
    expect(cells('83,000 tunnels')).toEqual([`${83_000 / rate} s`])
    expect(cells('writes to the list `TUNNELS` at 500 openings a second, a row put and a row removed')).toEqual([
      `${english(2 * rate)} a second`,
    ])
  })

  test('has the load of leases and polls', () => {
    const each = (intervalMs: number) => (150 * 1000) / intervalMs
    expect(SCALING).toContain(
      `150 tasks write ${each(limits.LEASE_RENEW_MS)} leases and read ${each(limits.REVOCATION_POLL_MS)} polls a second`,
    )
  })

  test('takes requests and gigabytes from the processor time that it names', () => {
    const about = (text: string) => Number(text.replaceAll(',', ''))
    expect(about(cells('requests a second at 60 %, many connections')[0]!) / (0.6 / 12.9e-6)).toBeCloseTo(1, 1)
    expect(about(cells('requests a second at 60 %, one connection')[0]!) / (0.6 / 57e-6)).toBeCloseTo(1, 1)
    expect(about(cells('gigabytes a second at 60 %, downloads')[0]!) / (0.6 / 0.94)).toBeCloseTo(1, 1)
  })
})
