import { randomBytes } from 'node:crypto'
import { OPERATIONS, type Operation, type OperationId, problemSchema } from '@postern/protocol/api'
import { FAULTS, type FaultCode } from '@postern/protocol/fault'
import { API_BODY_BYTES } from '@postern/protocol/limits'
import { newToken, Secret, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askOf, newWorld, ROWS, type Row, type World } from './call-table.ts'
import { type Answered, type Ask, grant, START } from './deployment.ts'

const IDS = Object.keys(OPERATIONS) as OperationId[]
const DONE = 'done'
type Expected = FaultCode | typeof DONE

let world: World
let callers = 0
beforeAll(async () => {
  world = await newWorld()
})
afterAll(() => world.stop())

interface Cell {
  id: OperationId
  operation: Operation
  row: Row
}
/** One column: the good call, spoilt, and what it is told; undefined where it cannot be spoilt like that. */
type Column = (cell: Cell) => Promise<readonly [Ask, Expected] | undefined>

const good = async ({ id, row }: Cell): Promise<Ask> => askOf(id, await row.good(world))

/** The same call with another token; whoever needs none is heard with any. */
const withToken =
  (code: FaultCode, replace: (bearer: string) => Promise<string | undefined> | string | undefined): Column =>
  async (cell) => {
    const { bearer = world.ann, ...ask } = await good(cell)
    return [{ ...ask, bearer: await replace(bearer) }, cell.operation.who === 'anyone' ? DONE : code]
  }

/** A token of the same account and scopes that is no longer good. */
async function spoilt(bearer: string, changes: { expiresAt?: number }): Promise<string> {
  const token = await world.stores.tokens.find(tokenHash(new Secret(bearer)))
  return grant(world.stores, token?.username ?? '', { ...(token && { scopes: token.scopes }), ...changes })
}

/** A call that takes no body does not look at one. */
const withBody =
  (code: FaultCode, raw: (row: Row, body: unknown) => Ask['raw'] | undefined): Column =>
  async (cell) => {
    const ask = await good(cell)
    if (ask.method === 'GET') return undefined
    const body = raw(cell.row, ask.body)
    return body && [{ ...ask, raw: body }, cell.operation.body ? code : DONE]
  }
const json = (text: string) => ({ type: 'application/json', text })

const COLUMNS: Record<string, Column> = {
  'as it should be': async (cell) => [await good(cell), DONE],
  'without a token': withToken('token-missing', () => undefined),
  'with a token whose checksum is wrong': withToken(
    'token-malformed',
    (bearer) => bearer.slice(0, -1) + (bearer.endsWith('0') ? '1' : '0'),
  ),
  'with a token nobody was given': withToken('token-unknown', () => newToken('admin', randomBytes).reveal()),
  'with an expired token': withToken('token-expired', (bearer) => spoilt(bearer, { expiresAt: START })),
  'with a revoked token': withToken('token-revoked', async (bearer) => {
    const text = await spoilt(bearer, {})
    await world.stores.tokens.revoke({ tokenHash: tokenHash(new Secret(text)), now: START, newId: world.fresh })
    return text
  }),
  'while the account is disabled': withToken('user-disabled', async (bearer) => {
    const token = await world.stores.tokens.find(tokenHash(new Secret(bearer)))
    const username = world.fresh()
    const text = await grant(world.stores, username, { ...(token && { scopes: token.scopes }) })
    await world.stores.users.update(username, { disabled: true })
    return text
  }),
  'without the scope': async (cell) => {
    const { id, operation, row } = cell
    if (operation.who === 'admin') return [{ ...(await good(cell)), bearer: world.ann }, 'scope-missing']
    if (operation.who === 'tunnel') return [{ ...(await good(cell)), bearer: world.adminOnly }, 'scope-missing']
    return row.beyond && [askOf(id, await row.beyond(world)), 'scope-missing']
  },
  'on what is another’s or not there': async ({ id, row: { foreign } }) =>
    foreign && [askOf(id, await foreign.make(world)), foreign.code],
  'with a body that is not JSON': withBody('request-malformed', () => json('{"username": ')),
  'with fields of other types': withBody('request-malformed', ({ wrong }) => wrong && json(JSON.stringify(wrong))),
  'with a field that is not known': withBody('request-malformed', (_, body) =>
    json(JSON.stringify({ ...(body as object), surprise: 1 })),
  ),
  'with a list as its body': withBody('request-malformed', () => json('[]')),
  'with another type of body': withBody('content-type-unsupported', (_, body) => ({
    type: 'application/x-www-form-urlencoded',
    text: JSON.stringify(body ?? {}),
  })),
  'with a body that is too large': withBody('body-too-large', (_, body) =>
    json(JSON.stringify(body ?? {}).padEnd(API_BODY_BYTES + 1)),
  ),
  'with a parameter that is not known': async (cell) => {
    const ask = await good(cell)
    return [{ ...ask, path: `${ask.path}${ask.path.includes('?') ? '&' : '?'}surprise=1` }, 'request-malformed']
  },
}

/** What a refused call may write: that it was tried, that it failed, and that its token was used today. */
const isTrace = (write: string): boolean => /^\w+ (AUDIT#|RL#)|#lastUsedDay/.test(write)

function expectProblem({ status, headers, json: body }: Answered, code: FaultCode): void {
  const { title, advice, status: documented } = FAULTS[code]
  const problem = problemSchema.parse(body)
  expect(problem).toMatchObject({ code, title, advice, status: documented, requestId: headers.get('x-request-id') })
  expect([status, headers.get('content-type')]).toEqual([documented, 'application/problem+json'])
}

test('the table has a row for every operation', () => {
  expect(Object.keys(ROWS).sort()).toEqual([...IDS].sort())
})

describe.each(Object.keys(COLUMNS))('%s', (column) => {
  test.each(IDS)('%s is answered as documented', async (id) => {
    const operation: Operation = OPERATIONS[id]
    const made = await COLUMNS[column]?.({ id, operation, row: ROWS[id] })
    if (made === undefined) return
    const [ask, expected] = made
    callers += 1
    world.caller.ip = `198.18.${callers >> 8}.${callers & 255}`
    world.written.length = 0
    const answer = await world.call(ask)
    if (expected !== DONE) {
      expectProblem(answer, expected)
      expect(world.written.filter((write) => !isTrace(write))).toEqual([])
      return
    }
    expect([answer.status, answer.text]).toEqual([operation.status, expect.anything()])
    if (operation.answer === undefined) expect(answer.text).toBe('')
    else expect(operation.answer.safeParse(answer.json)).toMatchObject({ success: true })
  })
})
