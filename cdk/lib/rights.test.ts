import { describe, expect, test } from 'vitest'
import { allows, listOf, rightsByRole, type Statement } from './testing/rights.ts'
import { CONTEXTS, synthesised } from './testing/synthesised.ts'

const { template } = synthesised('a domain')
const CALLS = [
  ...['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem', 'Scan', 'BatchGetItem', 'BatchWriteItem'],
  ...['ConditionCheckItem', 'PartiQLSelect', 'PartiQLInsert', 'PartiQLUpdate', 'PartiQLDelete'],
]
const ABOUT_THE_TABLE = ['DescribeTable', 'UpdateTable', 'DeleteTable', 'UpdateTimeToLive', 'ExportTableToPointInTime']
const PARTITIONS = [
  ...['TOKEN#0123', 'TOKENS', 'USER#ada', 'USERS', 'SUB#demo', 'SUBS', 'TICKET#0123', 'ROUTE#demo', 'TUNNELS', 'TASKS'],
  ...['REVOKE', 'KEYS', 'AUDIT#2026-01-31', 'NODE-AUDIT#2026-01-31', 'RL#192.0.2.1#29000000'],
]

const role = (stack: 'control' | 'data', name: string): Statement[] =>
  [...rightsByRole(template[stack])].find(([id]) => id.startsWith(name))![1]
const task = role('data', 'TaskTaskRole')
const start = role('data', 'TaskExecutionRole')
const lambda = role('control', 'FunctionRole')

/** Every call of the list that is allowed, by partition. */
const allowedCalls = (statements: Statement[], partitions: string[]) =>
  Object.fromEntries(
    partitions
      .map((key) => [
        key,
        CALLS.filter((call) => allows(statements, { action: `dynamodb:${call}`, leadingKeys: [key] })),
      ])
      .filter(([, calls]) => calls!.length > 0),
  )

describe('the data plane', () => {
  test('spends tickets, claims routes, keeps its lease and its list, reads names, tokens and revocations, writes its own audit; nothing else', () => {
    expect(allowedCalls(task, PARTITIONS)).toEqual({
      'SUB#demo': ['GetItem'],
      'TICKET#0123': ['GetItem', 'DeleteItem'],
      'ROUTE#demo': ['GetItem', 'Query', 'UpdateItem'],
      TUNNELS: ['PutItem', 'DeleteItem'],
      TASKS: ['Query', 'UpdateItem', 'DeleteItem'],
      'TOKEN#0123': ['GetItem'],
      REVOKE: ['Query'],
      KEYS: ['GetItem'],
      'NODE-AUDIT#2026-01-31': ['PutItem'],
    })
  })

  test('cannot reach another partition in the company of one of its own', () => {
    expect(allows(task, { action: 'dynamodb:GetItem', leadingKeys: ['TICKET#0123', 'USER#ada'] })).toBe(false)
  })

  test('cannot scan the table, nor do anything that names no partition', () => {
    for (const call of [...CALLS, ...ABOUT_THE_TABLE]) {
      expect(allows(task, { action: `dynamodb:${call}` })).toBe(false)
    }
  })

  test('has no right but those to the table: to no secret, no log, no task', () => {
    const actions = task.flatMap(({ Action }) => listOf(Action))
    expect(actions.filter((action) => !action.startsWith('dynamodb:'))).toEqual([])
  })

  test('is started by a role that reads the two secrets, pulls the image, writes the log and cannot touch the table', () => {
    const services = new Set(start.flatMap(({ Action }) => listOf(Action)).map((action) => action.split(':')[0]))
    expect([...services].sort()).toEqual(['ecr', 'logs', 'secretsmanager'])
    const secrets = start.filter(({ Action }) => listOf(Action).includes('secretsmanager:GetSecretValue'))
    expect(JSON.stringify(secrets.map(({ Resource }) => Resource)).match(/(Channel|Hop)Secret/g)).toEqual([
      'ChannelSecret',
      'HopSecret',
    ])
  })
})

describe('the control plane', () => {
  test('reads and writes every item, one at a time or one partition, and never scans', () => {
    const five = ['GetItem', 'Query', 'PutItem', 'UpdateItem', 'DeleteItem']
    expect(allowedCalls(lambda, PARTITIONS)).toEqual(Object.fromEntries(PARTITIONS.map((key) => [key, five])))
    for (const call of ABOUT_THE_TABLE) expect(allows(lambda, { action: `dynamodb:${call}` })).toBe(false)
  })

  test.each([
    'ecs:UpdateService',
    'ecs:StopTask',
    'ecs:RunTask',
    'ecs:ExecuteCommand',
    'iam:PassRole',
    'elasticloadbalancing:DeregisterTargets',
  ])('cannot touch the tasks: %s', (action) => {
    expect(allows(lambda, { action })).toBe(false)
  })

  test('reads the secrets of the channel and of the grants, never that of the hop', () => {
    const secrets = lambda.filter(({ Action }) => listOf(Action).some((action) => action.startsWith('secretsmanager:')))
    expect(secrets).toHaveLength(1)
    expect(secrets[0]!.Action).toBe('secretsmanager:GetSecretValue')
    expect(JSON.stringify(secrets[0]!.Resource).match(/(Channel|Hop|Grant)Secret/g)).toEqual([
      'ChannelSecret',
      'GrantSecret',
    ])
  })
})

describe('the canary', () => {
  const canary = [...rightsByRole(synthesised('dual stack and everything else').template.ops)].find(([id]) =>
    id.startsWith('CanaryRole'),
  )![1]

  test('reads the one secret with its token and writes its own log: nothing of the service', () => {
    expect(canary.map(({ Action, Resource }) => [listOf(Action), JSON.stringify(Resource)])).toEqual([
      [['logs:CreateLogStream', 'logs:PutLogEvents'], expect.stringContaining('CanaryLog')],
      [['secretsmanager:GetSecretValue'], expect.stringMatching(/:secret:postern\/canary-\?{6}"/)],
    ])
    expect(allowedCalls(canary, PARTITIONS)).toEqual({})
  })
})

describe.each(CONTEXTS)('with %s', (context) => {
  const templates = Object.values(synthesised(context).template)
  const roles = templates.flatMap((of) => [...rightsByRole(of)])

  test('only the call that knows no resource is allowed on all of them', () => {
    const everywhere = roles.flatMap(([, statements]) =>
      statements.filter(({ Resource }) => listOf(Resource).some((one) => JSON.stringify(one).includes('*'))),
    )
    for (const { Action } of everywhere) expect(Action).toBe('ecr:GetAuthorizationToken')
  })

  test('no right is given by a pattern of actions, and none denied', () => {
    for (const { Action, Effect } of roles.flatMap(([, statements]) => statements)) {
      expect(listOf(Action).join()).not.toContain('*')
      expect(Effect).toBe('Allow')
    }
  })

  test('every right to items is to the one table', () => {
    const toItems = roles
      .flatMap(([, statements]) => statements)
      .filter(({ Action }) => listOf(Action).some((action) => action.startsWith('dynamodb:')))
    const resources = new Set(toItems.map(({ Resource }) => JSON.stringify(Resource)))
    expect([...resources]).toEqual([expect.stringMatching(/"Fn::ImportValue":"PosternState:[^"]*Table[^"]*Arn/)])
  })

  test('roles have no policies but those that stand here', () => {
    for (const of of templates) {
      for (const { Properties } of Object.values(of.findResources('AWS::IAM::Role'))) {
        expect(Properties).not.toHaveProperty('ManagedPolicyArns')
        expect(Properties).not.toHaveProperty('Policies')
      }
      of.resourceCountIs('AWS::IAM::ManagedPolicy', 0)
    }
  })
})
