import { randomBytes } from 'node:crypto'
import { type AuditView, type NewToken, OPERATIONS, type Operation, type OperationId } from '@postern/protocol/api'
import type { FaultCode } from '@postern/protocol/fault'
import { API_BODY_BYTES } from '@postern/protocol/limits'
import { type ChannelTicket, newToken, Secret, tokenHash } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { askOf, newWorld, ROWS, type Row, type World } from './call-table.ts'
import { type Ask, START } from './deployment.ts'
import { expectProblem } from './expect-problem.ts'

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
/** The good call, spoilt in one way. */
interface Column {
  /** Which calls can be spoilt like that; all, where it is left out. */
  applies?(cell: Cell): boolean
  make(cell: Cell): Promise<readonly [Ask, Expected]>
}

const good = async ({ id, row }: Cell): Promise<Ask> => askOf(id, await row.good(world))

/** The same call with another token; whoever needs none is heard with any. */
const withToken = (
  code: FaultCode,
  replace: (bearer: string) => Promise<string | undefined> | string | undefined,
): Column => ({
  async make(cell) {
    const { bearer = world.ann, ...ask } = await good(cell)
    return [{ ...ask, bearer: await replace(bearer) }, cell.operation.who === 'anyone' ? DONE : code]
  },
})

/** Another token with the scopes of `bearer`, for the same account unless another is named. */
async function alike(
  bearer: string,
  { username, ...changes }: { username?: string; expiresAt?: number },
): Promise<string> {
  const token = await world.stores.tokens.find(tokenHash(new Secret(bearer)))
  if (token === undefined) throw new Error('the table of calls names a token that is not there')
  return world.give(username ?? token.username, { scopes: token.scopes, ...changes })
}

/** A call that takes no body does not look at one. */
const withBody = (
  code: FaultCode,
  raw: (body: object, row: Row) => NonNullable<Ask['raw']>,
  { applies }: Pick<Column, 'applies'> = {},
): Column => ({
  applies: (cell) => cell.operation.method !== 'GET' && (applies?.(cell) ?? true),
  async make(cell) {
    const { body, ...ask } = await good(cell)
    return [{ ...ask, raw: raw(body ?? {}, cell.row) }, cell.operation.body ? code : DONE]
  },
})
const json = (text: string) => ({ type: 'application/json', text })

const COLUMNS: Record<string, Column> = {
  'as it should be': { make: async (cell) => [await good(cell), DONE] },

  'without a token': withToken('token-missing', () => undefined),
  'with a token whose checksum is wrong': withToken(
    'token-malformed',
    (bearer) => bearer.slice(0, -1) + (bearer.endsWith('0') ? '1' : '0'),
  ),
  'with a token nobody was given': withToken('token-unknown', () => newToken('admin', randomBytes).reveal()),
  'with an expired token': withToken('token-expired', (bearer) => alike(bearer, { expiresAt: START })),
  'with a revoked token': withToken('token-revoked', async (bearer) => {
    const text = await alike(bearer, {})
    await world.stores.tokens.revoke({ tokenHash: tokenHash(new Secret(text)), now: START, newId: world.fresh })
    return text
  }),
  'while the account is disabled': withToken('user-disabled', async (bearer) => {
    const username = world.fresh()
    const text = await alike(bearer, { username })
    await world.stores.users.update(username, { disabled: true })
    return text
  }),
  'without the scope': {
    applies: ({ operation: { who }, row }) => who === 'admin' || who === 'tunnel' || row.beyond !== undefined,
    async make(cell) {
      const { id, operation, row } = cell
      if (row.beyond) return [askOf(id, await row.beyond(world)), 'scope-missing']
      return [
        { ...(await good(cell)), bearer: operation.who === 'admin' ? world.ann : world.adminOnly },
        'scope-missing',
      ]
    },
  },
  'on what is another’s or not there': {
    applies: ({ row }) => row.foreign !== undefined,
    async make({ id, row: { foreign } }) {
      if (foreign === undefined) throw new Error('it does not apply')
      return [askOf(id, await foreign.make(world)), foreign.code]
    },
  },

  'with a body that is not JSON': withBody('request-malformed', () => json('{"username": ')),
  'with fields of other types': withBody('request-malformed', (_, { wrong }) => json(JSON.stringify(wrong)), {
    applies: ({ row }) => row.wrong !== undefined,
  }),
  'with a field that is not known': withBody('request-malformed', (body) =>
    json(JSON.stringify({ ...body, surprise: 1 })),
  ),
  'with a token as the name of a field': withBody('request-malformed', (body) =>
    json(JSON.stringify({ ...body, [world.bob]: 1 })),
  ),
  'with a list as its body': withBody('request-malformed', () => json('[]')),
  'with another type of body': withBody('content-type-unsupported', (body) => ({
    type: 'application/x-www-form-urlencoded',
    text: JSON.stringify(body),
  })),
  'with a body that is too large': withBody('body-too-large', (body) =>
    json(JSON.stringify(body).padEnd(API_BODY_BYTES + 1)),
  ),
  'with a body of a megabyte': withBody('body-too-large', (body) => json(JSON.stringify(body).padEnd(1024 * 1024))),
  'with a parameter that is not known': {
    async make(cell) {
      const ask = await good(cell)
      return [{ ...ask, path: `${ask.path}${ask.path.includes('?') ? '&' : '?'}${world.bob}=1` }, 'request-malformed']
    },
  },
  'with a token in its path': {
    applies: ({ operation }) => operation.path.includes('{'),
    async make({ id, row }) {
      const part = await row.good(world)
      const params = Object.fromEntries(Object.keys(part.params ?? {}).map((name) => [name, world.bob]))
      return [askOf(id, { ...part, params }), id === 'reserveSubdomain' ? 'subdomain-invalid' : 'not-found']
    },
  },
}

/** What a refused call may write: that it was tried, that it failed, and that its token was used today. */
const isTrace = (write: string): boolean => /^\w+ (AUDIT#|RL#)|#lastUsedDay/.test(write)

test('the table has a row for every operation, and says what it takes to go wrong', () => {
  expect(Object.keys(ROWS).sort()).toEqual([...IDS].sort())
  for (const id of IDS) {
    const { body, who, path }: Operation = OPERATIONS[id]
    expect([id, ROWS[id].wrong !== undefined]).toEqual([id, body !== undefined])
    if (who === 'owner' || path.includes('{')) expect([id, ROWS[id].foreign]).toEqual([id, expect.anything()])
  }
})

describe.each(Object.entries(COLUMNS))('%s', (_, { applies = () => true, make }) => {
  const cells = IDS.map((id): Cell => ({ id, operation: OPERATIONS[id], row: ROWS[id] })).filter(applies)

  test.each(cells)('$id is answered as documented', async (cell) => {
    const { operation } = cell
    const [ask, expected] = await make(cell)
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

describe('of all the calls above', () => {
  const made = () =>
    world.answered.flatMap(({ ask, status, json: body }) => {
      const isOfMaking = status === 201 && /^\/v1\/tokens/.test(ask.path)
      return isOfMaking ? [(body as NewToken).token] : []
    })
  const tokens = () => [...new Set([...world.given, ...made()])]
  /** Answers, without the one field in which a token is shown. */
  const answers = () =>
    world.answered.map(({ text, json: body }) => {
      const token = (body as Partial<NewToken> | undefined)?.token
      return token === undefined ? text : text.replace(token, '')
    })
  const withAny = (texts: string[], secrets: string[]) =>
    texts.filter((text) => secrets.some((secret) => text.includes(secret.slice(5))))

  test('tokens were made and used', () => {
    expect(made().length).toBeGreaterThan(5)
    expect(tokens().length).toBeGreaterThan(100)
    expect(answers().length).toBeGreaterThan(250)
  })

  test('no answer shows a token but that of its making, and that only its own', () => {
    expect(withAny(answers(), tokens())).toEqual([])
  })

  test('no answer but a ticket shows an id or a key', () => {
    const tickets = world.answered.flatMap(({ ask, status, json: body }) =>
      status === 200 && ask.method === 'POST' ? [body as ChannelTicket] : [],
    )
    expect(tickets.length).toBeGreaterThan(1)
    const others = world.answered.filter(({ json: body }) => !tickets.includes(body as ChannelTicket))
    const secrets = tickets.flatMap(({ workerId, encryptionKeyText }) => [
      `     ${workerId}`,
      `     ${encryptionKeyText}`,
    ])
    expect(
      withAny(
        others.map(({ text }) => text),
        secrets,
      ),
    ).toEqual([])
    expect(
      withAny(
        world.logged.map((entry) => JSON.stringify(entry)),
        secrets,
      ),
    ).toEqual([])
  })

  test('no entry of the log shows a token', () => {
    expect(world.logged.length).toBeGreaterThan(250)
    expect(
      withAny(
        world.logged.map((entry) => JSON.stringify(entry)),
        tokens(),
      ),
    ).toEqual([])
  })

  test('no item of the table shows a token, the audit of calls with a token in their path among them', async () => {
    const items = (await world.dump()).map((item) => JSON.stringify(item))
    expect(items.filter((item) => item.includes('AUDIT#') && item.includes('pst_[secret]')).length).toBeGreaterThan(3)
    expect(withAny(items, tokens())).toEqual([])
  })

  test('each was noted once in the log, with its operation and what became of it', () => {
    const requests = world.logged.filter(({ message }) => message === 'request')
    expect(requests.map(({ status }) => status)).toEqual(world.answered.map(({ status }) => status))
    expect(requests.filter(({ operation }) => operation === undefined)).toEqual([])
  })

  test('each that changes something, done or refused with 403, 404 or 409, left one row in the audit', async () => {
    const rows: AuditView[] = []
    for (let cursor = ''; ; ) {
      const { items, next } = await world.stores.audit.list('2027-01-15', { after: cursor, limit: 100 })
      rows.push(...items.map(({ at, ...entry }) => ({ at: new Date(at).toISOString(), ...entry })))
      if (next === undefined) break
      cursor = next
    }
    const expected = world.logged.filter(
      ({ message, operation, status, username }) =>
        message === 'request' &&
        username !== undefined &&
        (OPERATIONS[operation as OperationId] as Operation).audited &&
        (Number(status) < 300 || [403, 404, 409].includes(Number(status))),
    )
    expect(rows.map(({ action, actor, ip, result }) => `${action} ${actor} ${ip} ${result}`).sort()).toEqual(
      expected.map(({ operation, username, ip, code = DONE }) => `${operation} ${username} ${ip} ${code}`).sort(),
    )
    // A call that may not be made is not read, so that nobody knows which user was to be made.
    expect(new Set(rows.flatMap(({ target, action }) => (target === '' ? [action] : [])))).toEqual(
      new Set(['createUser']),
    )
  })
})
