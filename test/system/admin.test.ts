import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ENV } from '@postern/protocol/environment'
import { newToken } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type System, startSystem } from '../support/start-system.ts'

const DIST = fileURLToPath(new URL('../../admin/dist/', import.meta.url))
const TOKEN = /^pst_[ua][0-9A-Za-z]{36}$/

let system: System
let home: string
/** The first administrator's. */
let root: string
interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs the built command with nothing of this process's own settings. @param newTokens as many are shown on its standard output */
async function admin(args: readonly string[], env: Readonly<Record<string, string>> = {}, newTokens = 0): Promise<Ran> {
  const own = Object.keys(process.env).filter((name) => /^(AWS|POSTERN|TUNNEL|XDG)_/.test(name))
  const blank = Object.fromEntries(own.map((name) => [name, '']))
  const ran = system.run({
    name: 'tunnel-admin',
    args: [join(DIST, 'main.js'), ...args],
    env: { ...blank, XDG_CONFIG_HOME: home, HOME: home, TZ: 'UTC', ...env },
    newTokens,
  })
  const { code } = await ran.exited
  return { code, out: ran.stdout, err: ran.stderr }
}

/** The same as the first administrator. */
const asRoot = (args: string, newTokens = 0): Promise<Ran> =>
  admin(args.split(' '), { TUNNEL_ADMIN_SERVER: system.server, TUNNEL_ADMIN_TOKEN: root }, newTokens)

async function jsonOf(args: string, newTokens = 0) {
  const { code, out, err } = await asRoot(`${args} --json`, newTokens)
  expect([code, err]).toEqual([0, ''])
  return JSON.parse(out)
}

/** What the SDK of AWS finds in the environment of a deployer. */
const deployer = (changes: Readonly<Record<string, string>> = {}) => ({
  ...system.tableEnv,
  AWS_EC2_METADATA_DISABLED: 'true',
  ...changes,
})

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'postern-admin-'))
  system = await startSystem()
})

afterAll(async () => {
  await system?.stop()
  await rm(home, { recursive: true, force: true })
})

describe('the first administrator', () => {
  test('is made by one of six processes at once, which alone prints a token that works', async () => {
    const tries = await Promise.all(Array.from({ length: 6 }, () => admin(['bootstrap'], deployer(), 1)))
    const won = tries.filter(({ code }) => code === 0)
    const lost = tries.filter(({ code }) => code !== 0)
    expect(won.length).toBe(1)
    for (const { code, out, err } of lost)
      expect([code, out, err]).toEqual([2, '', expect.stringContaining('(already-bootstrapped)')])
    root = won[0]!.out.trim()
    expect(root).toMatch(TOKEN)
    system.canaries.add('the first administrator’s token', root)
    expect(await jsonOf('whoami')).toMatchObject({ username: 'admin', scopes: ['admin', 'tunnel'], subdomains: ['*'] })
    expect((await jsonOf('audit')).filter(({ action }: { action: string }) => action === 'bootstrap')).toMatchObject([
      { actor: 'deployer', result: 'done' },
    ])
  })

  test('by force and kept: the token goes into the profile, for its owner alone, and later calls find it', async () => {
    const server = ['--server', system.server]
    const kept = await admin(['bootstrap', '--force', '--save', ...server], deployer())
    const path = join(home, 'tunnel-admin', 'config.json')
    expect([kept.code, kept.out, kept.err]).toEqual([0, '', expect.stringContaining(path)])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    system.canaries.add('a token that was kept', JSON.parse(await readFile(path, 'utf8')).token)
    expect((await admin(['whoami'])).out).toMatch(/^user +admin\n/)
    const elsewhere = await admin(['whoami', '--server', 'http://127.0.0.1:1'])
    expect([elsewhere.code, elsewhere.err]).toEqual([3, expect.stringContaining('(token-missing)')])
  })

  test('of a local system is found by its file, with no AWS settings at all', async () => {
    const folder = await mkdtemp(join(home, 'local-'))
    const { server, tableEnv } = system
    const table = { endpoint: tableEnv.AWS_ENDPOINT_URL_DYNAMODB, name: tableEnv[ENV.table] }
    await writeFile(join(folder, 'system.json'), JSON.stringify({ version: 1, server, table }))
    const checkout = { TUNNEL_ADMIN_LOCAL_FOLDER: folder, XDG_CONFIG_HOME: join(folder, 'nobody') }
    expect((await admin(['bootstrap'], checkout)).err).toContain('(already-bootstrapped)')
    const kept = await admin(['bootstrap', '--force', '--save', '--json'], checkout)
    expect(kept.code).toBe(0)
    expect(JSON.parse(kept.out)).not.toHaveProperty('token')
    expect((await stat(join(folder, 'admin.json'))).mode & 0o777).toBe(0o600)
    expect((await admin(['whoami'], checkout)).out).toMatch(/^user +admin\n/)
  })
})

describe('a bootstrap that AWS refuses is one clear sentence', () => {
  let answers: http.Server
  const refusal = { type: 'AccessDeniedException' }

  beforeAll(async () => {
    answers = http.createServer((request, response) => {
      request.resume()
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' })
      response.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${refusal.type}`, message: 'no' }))
    })
    await new Promise<void>((resolve) => answers.listen(0, '127.0.0.1', resolve))
  })
  afterAll(() => {
    answers.closeAllConnections()
    answers.close()
  })

  const refused = async (
    env: Record<string, string>,
    table = system.tableEnv[ENV.table]!,
  ): Promise<[number | null, string]> => {
    const { code, out, err } = await admin(['bootstrap', '--table', table], env)
    expect(out).toBe('')
    // One sentence with its advice: no stack.
    expect(err.trimEnd().split('\n').length).toBe(2)
    return [code, err]
  }

  test('without credentials', async () => {
    expect(await refused(deployer({ AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }))).toEqual([
      2,
      expect.stringContaining('AWS_PROFILE'),
    ])
  })

  test('without a region', async () => {
    expect(await refused(deployer({ AWS_REGION: '' }))).toEqual([2, expect.stringContaining('AWS_REGION')])
  })

  test('without such a table', async () => {
    expect(await refused(deployer(), 'no-such-table')).toEqual([
      2,
      expect.stringContaining('There is no table no-such-table'),
    ])
  })

  test.each([
    ['AccessDeniedException', 'dynamodb:GetItem'],
    ['UnrecognizedClientException', 'does not know these credentials'],
    ['ExpiredTokenException', 'have expired'],
  ])('with %s', async (type, words) => {
    refusal.type = type
    const { port } = answers.address() as AddressInfo
    expect(await refused(deployer({ AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${port}` }))).toEqual([
      2,
      expect.stringContaining(words),
    ])
  })

  test('with a local system that has ended, or with no table named', async () => {
    const folder = await mkdtemp(join(home, 'ended-'))
    const table = { endpoint: 'http://127.0.0.1:9', name: 'postern' }
    await writeFile(join(folder, 'system.json'), JSON.stringify({ version: 1, server: 'http://localhost:1', table }))
    const ended = await admin(['bootstrap', '--local', folder])
    expect([ended.code, ended.err]).toEqual([5, expect.stringContaining('npm start')])
    const unnamed = await admin(['bootstrap'])
    expect([unnamed.code, unnamed.err]).toEqual([2, expect.stringContaining('--table')])
  })
})

describe('logging in', () => {
  test('checks the token, and keeps it with its server for its owner alone', async () => {
    const config = join(home, 'elsewhere')
    const file = join(home, 'token')
    await writeFile(file, `${root}\n`)
    const args = ['login', '--server', system.server, '--token-file', file]
    const login = await admin(args, { XDG_CONFIG_HOME: config })
    const path = join(config, 'tunnel-admin', 'config.json')
    expect([login.code, login.err]).toEqual([0, expect.stringContaining(path)])
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await admin(['user', 'list'], { XDG_CONFIG_HOME: config })).code).toBe(0)
  })

  test('with a token that is unknown there keeps nothing', async () => {
    const config = join(home, 'nothing')
    const token = newToken('admin', randomBytes).reveal()
    system.canaries.add('a token that nobody knows', token)
    const env = { XDG_CONFIG_HOME: config, TUNNEL_ADMIN_TOKEN: token }
    const login = await admin(['login', '--server', system.server], env)
    expect([login.code, login.err]).toEqual([3, expect.stringContaining('(token-unknown)')])
    await expect(stat(config)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('with an administrator’s token', () => {
  test('users are made, shown, changed, listed and deleted', async () => {
    const made = await jsonOf('user create ann --pattern ann-* --max-subdomains 3 --max-tunnels 2')
    expect(made).toMatchObject({
      username: 'ann',
      subdomains: ['ann-*'],
      maxSubdomains: 3,
      maxTunnels: 2,
      disabled: false,
    })
    expect(await jsonOf('user show ann')).toEqual(made)
    expect((await asRoot('user create ann')).err).toContain('(user-taken)')
    const disabled = await asRoot('user change ann --disable --max-tunnels 5')
    expect(disabled.out).toMatch(/^state +disabled$/m)
    expect(disabled.out).toMatch(/^tunnels +at most 5$/m)
    expect(disabled.err).toBe('tunnel-admin: changed user ann\n')
    expect(await jsonOf('user change ann --enable')).toMatchObject({ disabled: false, maxTunnels: 5 })
    expect((await asRoot('user list')).out).toMatch(/^USER +STATE .*\nadmin +active .*\nann +active /)
    expect((await asRoot('user delete ann')).err).toContain('deleted user ann')
    expect((await asRoot('user show ann')).err).toContain('(not-found)')
  })

  test('tokens are made, listed, rotated and revoked; a new one is alone on standard output', async () => {
    await system.token('bob')
    const made = await asRoot('token create --user bob --label laptop --pattern bob-* --days 5', 1)
    expect(made.out).toMatch(new RegExp(`${TOKEN.source.slice(0, -1)}\\n$`))
    system.canaries.add('a token that was made', made.out.trim())
    const listed = await asRoot('token list --user bob')
    const row = listed.out.split('\n').find((line) => line.includes('laptop'))!
    expect(row).toMatch(/^\w{26} {2}bob +tunnel +bob-\* +active +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d +never +laptop$/)
    const id = row.split(' ')[0]!
    const rotated = await jsonOf(`token rotate ${id}`, 1)
    expect(rotated).toMatchObject({ username: 'bob', label: 'laptop', token: expect.stringMatching(TOKEN) })
    system.canaries.add('a token that was rotated', rotated.token)
    const revoked = await asRoot(`token revoke ${rotated.id}`)
    expect([revoked.code, revoked.out, revoked.err]).toEqual([
      0,
      '',
      expect.stringContaining(`revoked token ${rotated.id}`),
    ])
    expect(await jsonOf(`token revoke ${id}`)).toEqual({ action: 'revokeToken', target: id, result: 'done' })
    const gone = await admin(['whoami', '--server', system.server], { TUNNEL_ADMIN_TOKEN: rotated.token })
    expect([gone.code, gone.err]).toEqual([3, expect.stringContaining('(token-revoked)')])
  })

  test('names are reserved, shown, listed and released', async () => {
    await system.token('cat')
    expect(await jsonOf('subdomain reserve cat-site --user cat')).toMatchObject({ name: 'cat-site', username: 'cat' })
    const taken = await asRoot('subdomain reserve cat-site')
    expect([taken.code, taken.err]).toEqual([4, expect.stringContaining('(subdomain-taken)')])
    expect((await asRoot('subdomain list --user cat')).out).toMatch(/^NAME .*\ncat-site +cat +reserved /)
    expect((await asRoot('subdomain release cat-site')).err).toContain('released cat-site')
    expect((await asRoot('subdomain show cat-site')).out).toMatch(/^kind +released$/m)
  })

  test('tunnels are listed and disconnected', async () => {
    const agent = await system.startAgent({ target: 9, subdomain: 'shown' })
    expect((await asRoot('tunnel list')).out).toMatch(/^SUBDOMAIN .*\nshown +0 +tester +http:\/\/shown\.localhost /)
    const cut = await asRoot('tunnel disconnect shown')
    expect([cut.code, cut.err]).toEqual([0, expect.stringContaining('disconnected shown')])
    const rows = await system.stores.revocations.since('')
    expect(rows.at(-1)).toMatchObject({ what: 'subdomain', key: 'shown' })
    await agent.process.stop()
  })

  test('the audit has a row for each of these, with who and what, on the day that is asked for', async () => {
    const day = new Date().toISOString().slice(0, 10)
    const { out } = await asRoot(`audit --day ${day}`)
    for (const words of [
      'createUser +ann',
      'changeUser +ann',
      'deleteUser +ann',
      'reserveSubdomain +cat-site',
      'disconnectTunnel +shown',
    ])
      expect(out).toMatch(new RegExp(` admin +${words} +done +127\\.0\\.0\\.1 `))
    const before = await asRoot('audit --day 2020-01-01')
    expect([before.code, before.out]).toEqual([0, ''])
  })

  test('a list is complete, however many pages it has', async () => {
    const names = Array.from({ length: 130 }, (_, i) => `many-${String(i).padStart(3, '0')}`)
    const user = { patterns: new Set<string>(), maxSubdomains: 1, maxTunnels: 1, createdAt: Date.now() }
    for (const username of names) await system.stores.users.create({ ...user, username })
    const users: { username: string }[] = await jsonOf('user list')
    expect(users.map(({ username }) => username).filter((name) => name.startsWith('many-'))).toEqual(names)
  })
})

describe('the exit code is that of the fault', () => {
  test.each([
    ['2 for a command line that is none', ['user', 'nonsense'], 2, 'usage-invalid'],
    ['2 for a token on the command line', ['whoami', '--token', 'pst_x'], 2, 'usage-invalid'],
    ['5 for a server that is not there', ['whoami', '--server', 'http://127.0.0.1:9'], 5, 'server-unreachable'],
  ] as const)('%s', async (_, args, code, fault) => {
    const token = newToken('admin', randomBytes).reveal()
    system.canaries.add('a token that got nowhere', token)
    const server = (args as readonly string[]).includes('--server') ? {} : { TUNNEL_ADMIN_SERVER: system.server }
    const ran = await admin(args, { TUNNEL_ADMIN_TOKEN: token, ...server })
    expect([ran.code, ran.out, ran.err]).toEqual([code, '', expect.stringContaining(`(${fault})`)])
  })

  test('3 for a token without the scope', async () => {
    const token = (await system.token('tester')).reveal()
    const ran = await admin(['user', 'list', '--server', system.server], { TUNNEL_ADMIN_TOKEN: token })
    expect([ran.code, ran.err]).toEqual([3, expect.stringContaining('(scope-missing)')])
  })
})

describe('the SDK of AWS', () => {
  /** All files that `file` imports by the time it runs; those that it may load later are left out. */
  async function loadedWith(file: string, seen = new Set<string>()): Promise<Set<string>> {
    if (seen.has(file)) return seen
    seen.add(file)
    const text = await readFile(join(DIST, file), 'utf8')
    for (const [, next] of text.matchAll(/^(?:import|export) ?(?:[^;]*? from )?"\.\/(chunk-\w+\.js)"/gm))
      await loadedWith(next!, seen)
    return seen
  }
  const SDK = /node_modules\/@(aws-sdk|smithy)\//
  const withSdk = async (files: Iterable<string>): Promise<string[]> => {
    const texts = await Promise.all(
      [...files].map(async (file) => [file, await readFile(join(DIST, file), 'utf8')] as const),
    )
    return texts.filter(([, text]) => SDK.test(text)).map(([file]) => file)
  }

  test('is in no file that a command other than bootstrap loads', async () => {
    const start = await loadedWith('main.js')
    expect(start.size).toBeGreaterThan(1)
    expect(await withSdk(start)).toEqual([])
    // It is there, one dynamic import away: the pattern finds it.
    const main = (await Promise.all([...start].map((file) => readFile(join(DIST, file), 'utf8')))).join('\n')
    const later = [...main.matchAll(/import\("\.\/(chunk-\w+\.js)"\)/g)].map(([, file]) => file!)
    const loaded = await Promise.all(later.map((file) => loadedWith(file)))
    expect(later.length).toBe(1)
    expect((await withSdk(loaded.flatMap((files) => [...files]))).length).toBeGreaterThan(0)
  })
})
