/** The chapter on disaster recovery of docs/operations.md, its blocks pasted in their order, on a deployment of its own. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createDynamoClient, openStore, type Stores } from '@postern/protocol/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type CommandResult, tryCommand } from '../support/run-command.ts'
import { shellBlock, shellBlocks } from './page-commands.ts'
import { CONTROL, DATA, STATE, Stand } from './stand.ts'

/** Of this file alone: no other file's stacks are there. */
const REGION = 'eu-north-1'
const PAGE = 'docs/operations.md'
const BIN = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url))
const DEADLINE_MS = 120_000

const CHAPTER = '## Disaster recovery'
const NAMES = shellBlock(PAGE, 'The commands are for bash')
const FUNCTIONS = shellBlock(PAGE, CHAPTER)
const SOME = shellBlocks(PAGE, '### Some items are wrong', '### The whole')
const WHOLE = shellBlocks(PAGE, '### The whole table is wrong', 'Then [what')
const BACK = shellBlock(PAGE, 'Then [what a restored table lacks](#what-a-restored-table-lacks), and everybody back:')
const DELETED = shellBlock(PAGE, '### The table was deleted')
const LACKS = shellBlock(PAGE, '### What a restored table lacks')
const REGIONS = shellBlocks(PAGE, '### Another region', '## From')

/** The emulator has no such service, so that its calls are printed. Its tasks take no time to drain. `npx cdk` is given the assembly that is deployed. */
const EMULATED = `
aws() { if [ "$1" = application-autoscaling ]; then echo "not emulated: aws $*"; else command aws "$@"; fi; }
npx() { "$@" --app "$ASSEMBLY"; }
sleep() { echo "not waited: $1 s"; }
`

let stand: Stand
let stores: Stores
let tableName: string
let server: string

/** Pastes blocks one after the other into one shell. A failed block fails the result, and the shell goes on. */
const paste = (blocks: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> =>
  tryCommand(
    'bash',
    ['-c', ['failed=0', ...blocks.map((block) => `${block}\n[ $? = 0 ] || failed=1`), 'exit $failed'].join('\n')],
    {
      env: { PATH: process.env.PATH, ...env },
      deadlineMs: DEADLINE_MS,
    },
  )

const recover = (...blocks: string[]): Promise<CommandResult> =>
  paste([NAMES, FUNCTIONS, EMULATED, ...blocks], {
    ...stand.env,
    PATH: `${BIN}:${stand.env.PATH}`,
    ASSEMBLY: join(stand.folder, 'cdk.out'),
  })

const table = () => stand.aws('dynamodb', 'describe-table', '--table-name', tableName)
const apiStatus = async () => (await stand.call(server, 'GET', '/healthz', 'none')).status
const account = () => ({ patterns: new Set(['*']), maxSubdomains: 1, maxTunnels: 1, createdAt: Date.now() })

describe('a block of the chapter', () => {
  const all = [...SOME, ...WHOLE, BACK, DELETED, LACKS, ...REGIONS]

  /** Pastes a block into a shell in which the program that is called `last` fails. @returns the number of calls */
  async function callsUntilFailure(block: string, last: number): Promise<number> {
    const programs = `
exec 3>&1; calls=$(mktemp); trap 'rm -f "$calls"' EXIT
aws() { echo called >&3; echo called >> "$calls"; [ "$(wc -l < "$calls")" != ${last} ] || return 9; echo AVAILABLE; }
npx() { aws; }
output() { aws; }
await() { shift; "$@"; }
sleep() { :; }`
    const values =
      'CLUSTER=c SERVICE=s FUNCTION=f CONCURRENCY=250 TABLE=t BACKUP=b OLD_REGION=o NEW_REGION=n OLD_TABLE=a'
    const { stdout } = await paste([FUNCTIONS, programs, values, block, 'echo the shell is open'])
    expect(stdout).toMatch(/^the shell is open$/m)
    return stdout.match(/^called$/gm)?.length ?? 0
  }

  test.each(
    all.map((block) => [
      block
        .split('\n')
        .find((line) => /^(#| {2}aws|npx|OLD|BACKUP)/.test(line))!
        .slice(0, 70),
      block,
    ]),
  )('ends at the command that fails, whichever it is, and leaves the shell open: %s …', async (_, block) => {
    const calls = await callsUntilFailure(block, 0)
    expect(calls).toBeGreaterThan(0)
    for (let last = 1; last < calls; last++) expect(await callsUntilFailure(block, last)).toBe(last)
  })

  test('has no waiter, which would give up after 500 s', () => {
    expect(all.join('')).not.toMatch(/aws \S+ wait/)
  })
})

describe('await', () => {
  const asked = (answers: string) => paste([FUNCTIONS, `set -- ${answers}; sleep() { :; }`, AWAIT_ONE_BY_ONE])
  const AWAIT_ONE_BY_ONE = `
n=$(mktemp)
status() { echo x >> "$n"; local i; i=$(wc -l < "$n"); shift $((i - 1)); [ "$1" != error ] && echo "$1"; }
await ACTIVE status "$@"
code=$?; rm -f "$n"; echo "code $code"`
  test('asks until the answer comes', async () => {
    expect((await asked('CREATING CREATING ACTIVE')).stdout).toBe('CREATING\nCREATING\nACTIVE\ncode 0\n')
  })
  test('ends with a question that fails', async () => {
    expect((await asked('CREATING error ACTIVE')).stdout).toBe('CREATING\ncode 1\n')
  })
})

describe('on a deployment', () => {
  beforeAll(async () => {
    stand = await Stand.start({
      ...(process.env as Record<string, string>),
      AWS_REGION: REGION,
      AWS_DEFAULT_REGION: REGION,
    })
    await stand.cdk.synth({ dataPlaneImage: `000000000000.dkr.ecr.${REGION}.amazonaws.com/postern:test` })
    await stand.cdk.run('npx cdk bootstrap')
    for (const stack of [STATE, CONTROL, DATA]) stand.undo(() => stand.stacks.remove(stack))
    await stand.cdk.run(`npx cdk deploy ${STATE} ${CONTROL} ${DATA}`)
    tableName = await stand.stacks.output(STATE, 'TableName')
    stand.undo(() => stand.removeTable(tableName))
    stand.undo(() => stand.removeTable(`${tableName}-restored`))
    server = stand.executeApi(await stand.stacks.output(CONTROL, 'ControlUrl'))
    const client = createDynamoClient({ region: REGION })
    stand.undo(() => client.destroy())
    stores = openStore({ tableName, client })
    await stores.users.create({ username: 'ann', ...account() })
  })

  afterAll(() => stand?.stop())

  test('an item is found in a table that was restored beside', async () => {
    const { code, output } = await recover(...SOME, 'aws dynamodb delete-table --table-name "$TABLE-restored"')
    expect([code, output]).toEqual([0, expect.stringContaining('"USER#ann"')])
  })

  test('the whole table is restored under its name, and nobody writes meanwhile', async () => {
    const [quiet, beside, ...rest] = WHOLE
    expect(await apiStatus()).toBe(200)
    const first = await recover(quiet!, beside!)
    expect([first.code, first.output]).toEqual([0, expect.stringContaining('register-scalable-target')])
    expect(await apiStatus()).not.toBe(200)

    // The emulator has no past: what is wrong happens after the moment that is restored.
    await stores.users.create({ username: 'wrong', ...account() })
    const second = await recover(...rest)
    expect([second.code, second.output]).toEqual([0, expect.stringContaining('GONE')])
    expect(await stores.users.find('ann')).toMatchObject({ username: 'ann' })
    expect(await stores.users.find('wrong')).toBeUndefined()
    expect(await table()).toMatchObject({ Table: { DeletionProtectionEnabled: false } })

    const third = await recover(LACKS, BACK)
    expect([third.code, third.output]).toEqual([0, expect.stringContaining('--min-capacity 2 --max-capacity 10')])
    expect(await table()).toMatchObject({ Table: { DeletionProtectionEnabled: true } })
    const live = await stand.aws('dynamodb', 'describe-time-to-live', '--table-name', tableName)
    expect(live).toMatchObject({ TimeToLiveDescription: { TimeToLiveStatus: 'ENABLED' } })
    expect(third.output).toMatch(/"?ReservedConcurrentExecutions"?: 250/)
    expect(await apiStatus()).toBe(200)
  })

  test('the old table stays where the backup is not there', async () => {
    const drop = WHOLE.find((block) => block.includes('delete-table'))!
    const { code } = await recover('BACKUP=arn:aws:dynamodb:eu-north-1:000000000000:table/no/backup/none', drop)
    expect(code).toBe(1)
    expect(await table()).toMatchObject({ Table: { DeletionProtectionEnabled: true, TableStatus: 'ACTIVE' } })
  })

  test('a deleted table is restored from its last backup', async () => {
    // The emulator makes no backup of a table that is deleted: the last one by hand stands in.
    const byHand = 'aws dynamodb create-backup --table-name "$TABLE" --backup-name last'
    const gone =
      'aws dynamodb update-table --table-name "$TABLE" --no-deletion-protection-enabled && aws dynamodb delete-table --table-name "$TABLE"'
    const { code, output } = await recover(
      byHand,
      gone,
      DELETED.replace('--backup-type SYSTEM ', '--backup-type USER '),
    )
    expect([code, output]).toEqual([0, expect.stringContaining('ACTIVE')])
    expect(await stores.users.find('ann')).toMatchObject({ username: 'ann' })
  })
})
