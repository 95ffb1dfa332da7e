import { newToken } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { parseArgs } from './args.ts'
import type { Outcome } from './outcome.ts'
import type { Session } from './session.ts'

const parse = (...argv: string[]) => parseArgs(argv, '1.2.3')

/** What a command line asks of the API, and what it comes to; every call is answered with `answer`. */
async function asked(argv: string[], answer: unknown = {}): Promise<{ calls: unknown[]; outcome: Outcome }> {
  const invocation = parse(...argv)
  if (invocation.kind !== 'command') throw new Error(`${argv.join(' ')} is no command`)
  const calls: unknown[] = []
  const api = {
    call: async (id: string, given: unknown) => {
      calls.push([id, given])
      return answer
    },
    list: async (id: string, query: unknown) => {
      calls.push([id, query])
      return answer
    },
  }
  const outcome = await invocation.run({ api: async () => api } as unknown as Session)
  return { calls, outcome }
}

const at = '2026-01-02T03:04:05.000Z'
const token = {
  ...{ id: '01T', username: 'ann', label: '', scopes: ['tunnel'], subdomains: ['*'], status: 'active' },
  ...{ createdAt: at, expiresAt: at, token: newToken('user', (n) => new Uint8Array(n)).reveal() },
}
const user = {
  ...{ username: 'ann', subdomains: ['*'], maxSubdomains: 2, maxTunnels: 3, heldSubdomains: 1 },
  ...{ disabled: false, createdAt: at },
}
const subdomain = { name: 'demo', username: 'ann', ephemeral: false, createdAt: at, released: false }

describe('each command line is one call', () => {
  test.each([
    ['token create', 'createToken', { body: {} }, token],
    [
      'token create --user ann --label x --scope tunnel --scope admin --pattern a* --pattern b --days 7',
      'createToken',
      {
        body: {
          ...{ username: 'ann', label: 'x', scopes: ['tunnel', 'admin'], subdomains: ['a*', 'b'] },
          expiresInDays: 7,
        },
      },
      token,
    ],
    ['token list', 'listTokens', { username: undefined }, []],
    ['token list --user ann', 'listTokens', { username: 'ann' }, [token]],
    ['token revoke 01T', 'revokeToken', { params: { id: '01T' } }, undefined],
    ['token rotate 01T', 'rotateToken', { params: { id: '01T' } }, token],
    [
      'user create ann --pattern a* --max-subdomains 0 --max-tunnels 3',
      'createUser',
      { body: { username: 'ann', subdomains: ['a*'], maxSubdomains: 0, maxTunnels: 3 } },
      user,
    ],
    ['user list', 'listUsers', {}, [user]],
    ['user show ann', 'getUser', { params: { username: 'ann' } }, user],
    ['user change ann --disable', 'changeUser', { params: { username: 'ann' }, body: { disabled: true } }, user],
    [
      'user change ann --enable --max-tunnels 1',
      'changeUser',
      { params: { username: 'ann' }, body: { disabled: false, maxTunnels: 1 } },
      user,
    ],
    ['user delete ann', 'deleteUser', { params: { username: 'ann' } }, undefined],
    ['subdomain reserve demo', 'reserveSubdomain', { params: { name: 'demo' }, body: {} }, subdomain],
    [
      'subdomain reserve demo --user ann',
      'reserveSubdomain',
      { params: { name: 'demo' }, body: { username: 'ann' } },
      subdomain,
    ],
    ['subdomain list', 'listSubdomains', { username: undefined }, [subdomain]],
    ['subdomain show demo', 'getSubdomain', { params: { name: 'demo' } }, subdomain],
    ['subdomain release demo', 'releaseSubdomain', { params: { name: 'demo' } }, undefined],
    ['tunnel list --user ann', 'listTunnels', { username: 'ann' }, []],
    ['tunnel disconnect demo', 'disconnectTunnel', { params: { subdomain: 'demo' } }, undefined],
    ['audit', 'listAudit', { day: undefined }, []],
    ['audit --day 2026-01-02', 'listAudit', { day: '2026-01-02' }, []],
    ['whoami', 'getMe', {}, { username: 'ann', scopes: [], subdomains: [], expiresAt: at }],
  ])('%s', async (line, id, given, answer) => {
    const { calls, outcome } = await asked(line.split(' '), answer)
    expect(calls).toEqual([[id, given]])
    // With --json it is the API's own answer; of a call that answers nothing, what was done.
    expect(outcome.json).toEqual(answer ?? { action: id, target: line.split(' ')[2], result: 'done' })
    if (answer === undefined) expect(outcome.note).toContain(line.split(' ')[2])
  })
})

test('a new token is the only thing on standard output, and not in what is said about it', async () => {
  for (const line of [
    ['token', 'create'],
    ['token', 'rotate', '01T'],
  ]) {
    const { outcome } = await asked(line, token)
    expect(outcome.shown).toEqual({ kind: 'line', text: token.token })
    expect(outcome.note).toContain('01T')
    expect(outcome.note).not.toContain(token.token)
  }
})

test('a change of nothing is a mistake, and nobody is asked', async () => {
  await expect(asked(['user', 'change', 'ann'])).rejects.toMatchObject({ code: 'usage-invalid', exit: 2 })
})

describe('options of every command', () => {
  test('server, token file and JSON', () => {
    expect(parse('token', 'list', '--server', 'x', '--token-file', '-', '--json')).toMatchObject({
      flags: { server: 'x', tokenFile: '-', json: true },
    })
    expect(parse('audit')).toMatchObject({ flags: { json: false } })
  })

  test.each([
    ['token', 'list', '--token', 'pst_secret'],
    ['whoami', '--token=pst_secret'],
    ['login', '--token'],
  ])('a token on the command line is refused with the way out, and not repeated: %s %s', (...argv) => {
    expect(() => parse(...argv)).toThrow(/--token-file.*TUNNEL_ADMIN_TOKEN/)
    expect(() => parse(...argv)).not.toThrow(/pst_secret/)
  })
})

test.each([
  [],
  ['token'],
  ['nonsense'],
  ['token', 'nonsense'],
  ['token', 'revoke'],
  ['token', 'revoke', 'a', 'b'],
  ['token', 'create', '--unknown'],
  ['token', 'create', '--scope', 'root'],
  ['token', 'create', '--days', 'many'],
  ['token', 'create', '--days', '-1'],
  ['user', 'change', 'ann', '--disable', '--enable'],
])('%j is a usage error', (...argv) => {
  expect(() => parse(...argv)).toThrow(expect.objectContaining({ code: 'usage-invalid', exit: 2 }))
})

test('help and version are told, on every level', () => {
  expect(parse('--version')).toEqual({ kind: 'told', text: '1.2.3\n' })
  for (const [argv, word] of [
    [['-h'], 'Exit codes'],
    [['token', '--help'], 'rotate'],
    [['token', 'create', '-h'], '--days'],
    [['help', 'user'], 'change'],
  ] as const) {
    const told = parse(...argv)
    expect(told.kind === 'told' && told.text).toContain(word)
    expect(told.kind === 'told' && told.text).not.toMatch(/--token[^-]/)
  }
})
