/** How requests pass a tunnel with passwords without sending one: cookies that are not what they say, and requests that look exempt. */
import { randomBytes } from 'node:crypto'
import type { VisitorRules } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { ForwardedFields, RequestHeadParser, writeRequestHead } from '@postern/protocol/http'
import { SIGN_IN_COOKIES_READ, SIGN_IN_ISSUED_MS, SIGN_IN_MS, SIGN_IN_RENEWED_MS } from '@postern/protocol/limits'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { tunnelGate } from './tunnel-gate.ts'
import { Turnstile } from './turnstile.ts'
import { WrongPasswords } from './wrong-passwords.ts'

const SALT = Buffer.alloc(16, 's')
const HERE = '192.0.2.1'
const HTTPS = { scheme: 'https', authority: 'demo.example.com' } as const

/** In place of the slow hash. */
const hashOf = (credentials: Buffer): Buffer => Buffer.concat([credentials, Buffer.alloc(32)]).subarray(0, 32)
const basicAuth = (...credentials: string[]) => ({
  salt: SALT.toString('base64url'),
  hashes: credentials.map((text) => hashOf(Buffer.from(text)).toString('base64url')),
})
const basic = (credentials: string): string => `Authorization: Basic ${Buffer.from(credentials).toString('base64')}`
const secret = newDeploymentSecret(randomBytes)

interface Setup {
  readonly name?: string
  readonly rules?: VisitorRules
  readonly keys?: string
  readonly at?: number
}

const START = 1_700_000_000_000

/** A gate of the tunnel `demo` for `ann:pw`, and what it makes of requests. */
function setup({ name = 'demo', rules = { basicAuth: basicAuth('ann:pw') }, keys = secret, at = START }: Setup = {}) {
  const clock = { now: at }
  const hashed: string[] = []
  const gate = tunnelGate(name, rules, {
    key: Buffer.alloc(32, 1),
    turnstile: new Turnstile(1),
    wrongPasswords: new WrongPasswords(() => clock.now),
    now: () => clock.now,
    clock: () => clock.now,
    keys: parseDeploymentKeys(keys),
    hash: async (credentials) => {
      hashed.push(credentials.toString())
      return hashOf(credentials)
    },
  })!
  const headOf = (start: string, lines: readonly string[]) => {
    const text = [`${start} HTTP/1.1`, 'Host: demo.example.com', ...lines, '', ''].join('\r\n')
    return new RequestHeadParser().parse(Buffer.from(text, 'latin1'), 0, text.length)!
  }
  /** The code of its refusal; or what the local server gets of these two fields, and whether the visitor gets a cookie. */
  const request = async (start: string, ...lines: string[]) => {
    const head = headOf(start, lines)
    const verdict = await gate.judge(HERE, head)
    if (verdict instanceof TunnelFault) return verdict.code
    const forwarding = { forwarded: new ForwardedFields(HERE, 'https'), requestId: 'r', ...verdict!.request }
    const written = writeRequestHead(head, forwarding).toString('latin1').split('\r\n')
    const kept = written.filter((line) => /^(?:authorization|cookie):/i.test(line))
    return { kept, signedIn: /^Set-Cookie: /m.test(verdict!.response(HTTPS).extraLines ?? '') }
  }
  const ask = (...lines: string[]) => request('GET /', ...lines)
  /** The cookie that `ann` gets. */
  const signIn = async (): Promise<string> => {
    const verdict = await gate.judge(HERE, headOf('GET /', [basic('ann:pw')]))
    if (verdict === undefined || verdict instanceof TunnelFault) throw new Error('refused')
    return /^Set-Cookie: ([^;]+);/m.exec(verdict.response(HTTPS).extraLines!)![1]!
  }
  return { gate, ask, request, signIn, clock, hashed, headOf }
}

const PASSES = { kept: [], signedIn: false }

describe('the cookie of a sign-in', () => {
  test('stands in its response, for this host, https and this site alone, and keeps shared caches away', async () => {
    const { gate, headOf } = setup({
      rules: { basicAuth: basicAuth('ann:pw'), responseHeaders: { add: [['X-A', 'b']] } },
    })
    const verdict = await gate.judge(HERE, headOf('GET /', [basic('ann:pw')]))
    if (verdict === undefined || verdict instanceof TunnelFault) return expect.unreachable()
    expect(verdict.response(HTTPS).extraLines).toMatch(
      /^X-A: b\r\nSet-Cookie: __Host-postern-visitor=[0-9a-f]{8}\.[0-9a-z]+\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Strict; Secure\r\nCache-Control: private="set-cookie"\r\n$/,
    )
    expect(verdict.response({ ...HTTPS, scheme: 'http' }).extraLines).toMatch(
      /\r\nSet-Cookie: postern-visitor=[\w.-]+; Path=\/; HttpOnly; SameSite=Strict\r\n/,
    )
  })

  test('takes the place of the password, so Authorization is free, and goes no further', async () => {
    const { ask, signIn, hashed } = setup()
    const cookie = await signIn()
    for (const kept of [[], ['Authorization: Bearer abc'], ['Authorization: Negotiate abc'], ['Authorization: Basic']])
      expect(await ask(`Cookie: ${cookie}`, ...kept)).toEqual({ kept, signedIn: false })
    expect(hashed).toEqual(['ann:pw'])
  })

  test('beside the password: the password is spent; beside another one of Basic, that is the local server’s', async () => {
    const { ask, signIn } = setup()
    const cookie = await signIn()
    expect(await ask(`Cookie: ${cookie}`, basic('ann:pw'))).toEqual(PASSES)
    expect(await ask(`Cookie: ${cookie}`, basic('own:pw'))).toEqual({ kept: [basic('own:pw')], signedIn: false })
  })

  test.each<[sent: string[], kept: string[]]>([
    [['Cookie: a=1; {}; b=2'], ['Cookie: a=1; b=2']],
    [['Cookie: {}; b="x y"; c'], ['Cookie: b="x y"; c']],
    [['cookie:a=1;{}'], ['cookie: a=1']],
    [['Cookie: {}', 'Cookie: a=1'], ['Cookie: a=1']],
    [['Cookie: a=1', 'Cookie: {}'], ['Cookie: a=1']],
    [['Cookie: {}; {}; a={}; postern-visitor=; __Host-postern-visitor'], ['Cookie: a={}']],
    [['Cookie: a=1;  b=2 ;{};c=3;'], ['Cookie: a=1;  b=2 ;c=3;']],
  ])('%j leaves %j', async (sent, kept) => {
    const { ask, signIn } = setup()
    const cookie = await signIn()
    const put = (lines: string[]) => lines.map((line) => line.replaceAll('{}', cookie))
    expect(await ask(...put(sent))).toEqual({ kept: put(kept), signedIn: false })
  })

  test('goes no further either where it does not hold, or the password is sent beside it', async () => {
    const { ask } = setup()
    const lines = ['Cookie: __Host-postern-visitor=forged; a=1', basic('ann:pw')]
    expect(await ask(...lines)).toEqual({ kept: ['Cookie: a=1'], signedIn: true })
  })

  test('ends when its time is over, and is replaced by the password once half of it is', async () => {
    const { ask, signIn, clock } = setup()
    const cookie = await signIn()
    clock.now += SIGN_IN_MS - SIGN_IN_RENEWED_MS
    expect(await ask(`Cookie: ${cookie}`, basic('ann:pw'))).toEqual(PASSES)
    clock.now += 1
    expect(await ask(`Cookie: ${cookie}`, basic('ann:pw'))).toEqual({ kept: [], signedIn: true })
    // Alone it is never replaced: it would not end at all.
    expect(await ask(`Cookie: ${cookie}`)).toEqual(PASSES)
    clock.now = START + SIGN_IN_MS - 1
    expect(await ask(`Cookie: ${cookie}`)).toEqual(PASSES)
    clock.now += 1
    expect(await ask(`Cookie: ${cookie}`)).toBe('visitor-unauthorised')
  })

  test('is the same for all who sign in within a minute, and another one then', async () => {
    const { signIn, clock } = setup()
    const first = await signIn()
    clock.now += SIGN_IN_ISSUED_MS - 1
    expect(await signIn()).toBe(first)
    clock.now += 1
    expect(await signIn()).not.toBe(first)
  })

  test('holds at another channel of the name with the same passwords, in whatever order, and other exemptions', async () => {
    const cookie = await setup({ rules: { basicAuth: basicAuth('ann:pw', 'bob:pw') } }).signIn()
    const other = { ...basicAuth('bob:pw', 'ann:pw'), allowPreflight: true, except: ['/a'] }
    expect(await setup({ rules: { basicAuth: other } }).ask(`Cookie: ${cookie}`)).toEqual(PASSES)
  })

  test('holds after a rotation of the keys for as long as the former key is accepted', async () => {
    const cookie = await setup().signIn()
    const [former, next] = [JSON.parse(secret).current, randomBytes(32).toString('hex')]
    const rotated = (accepted: string[]) => setup({ keys: JSON.stringify({ current: next, accepted }) })
    expect(await rotated([former]).ask(`Cookie: ${cookie}`)).toEqual(PASSES)
    expect(await rotated([]).ask(`Cookie: ${cookie}`)).toBe('visitor-unauthorised')
  })

  const elsewhere: [what: string, made: Setup][] = [
    ['of another tunnel with the same passwords', { name: 'other' }],
    ['of a tunnel whose name begins alike', { name: 'dem' }],
    ['of an earlier password', { rules: { basicAuth: basicAuth('ann:old') } }],
    ['of passwords of which one was taken away', { rules: { basicAuth: basicAuth('ann:pw', 'bob:pw') } }],
    [
      'of the same passwords under another salt',
      { rules: { basicAuth: { ...basicAuth('ann:pw'), salt: 'A'.repeat(22) } } },
    ],
    ['of another deployment', { keys: newDeploymentSecret(randomBytes) }],
    ['that has expired', { at: START - SIGN_IN_MS }],
    ['from a clock that is days ahead', { at: START + 2 * SIGN_IN_MS }],
  ]

  test.each(elsewhere)('%s does not let in, and does not hinder one that does', async (_, made) => {
    const { ask, signIn } = setup()
    const bad = await setupSignIn(made)
    expect(await ask(`Cookie: ${bad}`)).toBe('visitor-unauthorised')
    expect(await ask(`Cookie: ${bad}`, 'Authorization: Bearer abc')).toBe('visitor-unauthorised')
    const good = await signIn()
    for (const both of [
      [`Cookie: ${bad}; ${good}`],
      [`Cookie: ${good}; ${bad}`],
      [`Cookie: ${bad}`, `Cookie: ${good}`],
    ])
      expect(await ask(...both)).toEqual(PASSES)
  })

  const changed: [what: string, change: (name: string, id: string, expiry: string, mac: string) => string][] = [
    ['a later expiry', (name, id, expiry, mac) => `${name}=${id}.${later(expiry)}.${mac}`],
    ['an expiry in capitals', (name, id, expiry, mac) => `${name}=${id}.${expiry.toUpperCase()}.${mac}`],
    ['an expiry with a zero before it', (name, id, expiry, mac) => `${name}=${id}.0${expiry}.${mac}`],
    ['another key', (name, _, expiry, mac) => `${name}=00000000.${expiry}.${mac}`],
    ['another byte of the MAC', (name, id, expiry, mac) => `${name}=${id}.${expiry}.${flipped(mac, 0)}`],
    ['another last byte', (name, id, expiry, mac) => `${name}=${id}.${expiry}.${flipped(mac, 42)}`],
    ['a MAC cut short', (name, id, expiry, mac) => `${name}=${id}.${expiry}.${mac.slice(1)}`],
    ['no MAC', (name, id, expiry) => `${name}=${id}.${expiry}.`],
    ['a MAC of nothing', (name, id, expiry) => `${name}=${id}.${expiry}.${'A'.repeat(43)}`],
    ['more behind it', (name, id, expiry, mac) => `${name}=${id}.${expiry}.${mac}.x`],
    ['quotes', (name, id, expiry, mac) => `${name}="${id}.${expiry}.${mac}"`],
    ['another name', (_, id, expiry, mac) => `__host-postern-visitor=${id}.${expiry}.${mac}`],
    ['another prefix', (_, id, expiry, mac) => `__Secure-postern-visitor=${id}.${expiry}.${mac}`],
    ['its name as a value', (name, id, expiry, mac) => `a=${name}=${id}.${expiry}.${mac}`],
  ]

  test.each(changed)('with %s it does not let in', async (_, change) => {
    const { ask, signIn } = setup()
    const [name = '', id = '', expiry = '', mac = ''] = (await signIn()).split(/[=.]/)
    expect(await ask(`Cookie: ${change(name, id, expiry, mac)}`)).toBe('visitor-unauthorised')
  })

  test('is looked for among a few of its name, and no more', async () => {
    const { ask, signIn } = setup()
    const good = await signIn()
    const among = (count: number, bad: string) => `Cookie: ${[...Array<string>(count).fill(bad), good].join('; ')}`
    const [name, value] = good.split('=') as [string, string]
    const forged = `${name}=${value.slice(0, -2)}AA`
    expect(await ask(among(SIGN_IN_COOKIES_READ - 1, forged))).toEqual(PASSES)
    expect(await ask(among(SIGN_IN_COOKIES_READ, forged))).toBe('visitor-unauthorised')
    // What the page of another tunnel can plant counts behind it, and what is none does not count.
    for (const bad of ['postern-visitor=x', `${name}=x`, `postern-visitor=${forged.split('=')[1]}`])
      expect(await ask(among(SIGN_IN_COOKIES_READ, bad))).toEqual(PASSES)
  })

  test('lets nobody in whose address may not', async () => {
    const { signIn } = setup()
    const { ask } = setup({ rules: { basicAuth: basicAuth('ann:pw'), deny: ['192.0.2.0/24'] } })
    expect(await ask(`Cookie: ${await signIn()}`)).toBe('visitor-not-allowed')
  })

  test('two Authorization fields are refused beside it', async () => {
    const { ask, signIn } = setup()
    expect(await ask(`Cookie: ${await signIn()}`, 'Authorization: Bearer a', basic('ann:pw'))).toBe(
      'visitor-unauthorised',
    )
  })
})

const later = (expiry: string): string => (Number.parseInt(expiry, 36) + 1).toString(36)
const flipped = (mac: string, at: number): string =>
  mac.slice(0, at) + (mac[at] === 'A' ? 'B' : 'A') + mac.slice(at + 1)

/** A cookie by which somebody has signed in there. */
async function setupSignIn(made: Setup): Promise<string> {
  const { gate, headOf } = setup(made)
  for (const credentials of ['ann:pw', 'ann:old']) {
    const verdict = await gate.judge(HERE, headOf('GET /', [basic(credentials)]))
    if (verdict !== undefined && !(verdict instanceof TunnelFault))
      return /^Set-Cookie: ([^;]+);/m.exec(verdict.response(HTTPS).extraLines!)![1]!
  }
  throw new Error('refused')
}

describe('preflights', () => {
  const allowed = { basicAuth: { ...basicAuth('ann:pw'), allowPreflight: true } }
  const PREFLIGHT = ['Origin: https://app.example', 'Access-Control-Request-Method: PUT']

  test.each<[start: string, lines: string[]]>([
    ['OPTIONS /a', PREFLIGHT],
    ['OPTIONS /a?b=c', [...PREFLIGHT, 'Access-Control-Request-Headers: authorization,content-type']],
    ['OPTIONS /', ['Origin: null', 'Access-Control-Request-Method: x-custom']],
    ['OPTIONS http://demo.example.com/a', PREFLIGHT],
  ])('%s %j passes without a password where the rules allow it, and leaves no cookie', async (start, lines) => {
    expect(await setup({ rules: allowed }).request(start, ...lines)).toEqual(PASSES)
    expect(await setup().request(start, ...lines)).toBe('visitor-unauthorised')
  })

  test.each<[what: string, start: string, lines: string[]]>([
    ['another method', 'GET /', PREFLIGHT],
    ['the method in lower case', 'options /', PREFLIGHT],
    ['no Origin', 'OPTIONS /', PREFLIGHT.slice(1)],
    ['an empty Origin', 'OPTIONS /', ['Origin:', PREFLIGHT[1]!]],
    ['two Origins', 'OPTIONS /', [...PREFLIGHT, 'Origin: https://b.example']],
    ['no method asked for', 'OPTIONS /', PREFLIGHT.slice(0, 1)],
    ['an empty method', 'OPTIONS /', [PREFLIGHT[0]!, 'Access-Control-Request-Method:']],
    ['a list of methods', 'OPTIONS /', [PREFLIGHT[0]!, 'Access-Control-Request-Method: GET, PUT']],
    ['two methods', 'OPTIONS /', [...PREFLIGHT, 'Access-Control-Request-Method: GET']],
    ['a look-alike', 'OPTIONS /', [PREFLIGHT[0]!, 'Access_Control_Request_Method: GET']],
    ['a body', 'OPTIONS /', [...PREFLIGHT, 'Content-Length: 4']],
    ['a body of no bytes', 'OPTIONS /', [...PREFLIGHT, 'Content-Length: 0']],
    ['a body in chunks', 'OPTIONS /', [...PREFLIGHT, 'Transfer-Encoding: chunked']],
    ['an upgrade', 'OPTIONS /', [...PREFLIGHT, 'Connection: Upgrade', 'Upgrade: websocket']],
    ['no path', 'OPTIONS *', PREFLIGHT],
    ['another method by a field', 'OPTIONS /', [...PREFLIGHT, 'X-HTTP-Method-Override: DELETE']],
    ['the same in odd spelling', 'OPTIONS /', [...PREFLIGHT, 'x_http_method_override: DELETE']],
    ['another path by a field', 'OPTIONS /', [...PREFLIGHT, 'X-Original-URL: /admin']],
    ['another method by the query', 'OPTIONS /a?b=c&_method=GET', PREFLIGHT],
    ['the same, encoded', 'OPTIONS /a?%5Fmethod=GET', PREFLIGHT],
    ['the same as PHP reads it', 'OPTIONS /a?+.Method[]=GET', PREFLIGHT],
    ['another path by the query', 'OPTIONS /?rest_route=/wp/v2/users', PREFLIGHT],
    ['a token', 'OPTIONS /', [...PREFLIGHT, 'Authorization: Bearer abc']],
    ['a wrong password', 'OPTIONS /', [...PREFLIGHT, basic('ann:no')]],
  ])('%s makes another request of it', async (_, start, lines) => {
    expect(await setup({ rules: allowed }).request(start, ...lines)).toBe('visitor-unauthorised')
  })

  test('the cookie in one is still ours', async () => {
    const { request } = setup({ rules: allowed })
    expect(await request('OPTIONS /', ...PREFLIGHT, 'Cookie: postern-visitor=x; a=1')).toEqual({
      kept: ['Cookie: a=1'],
      signedIn: false,
    })
  })
})

describe('paths without a password', () => {
  const rules = { basicAuth: { ...basicAuth('ann:pw'), except: ['/healthz', '/webhooks/*'] } }

  test.each(['/healthz', '/healthz?a', '/webhooks/x/', '/webhooks/x/y?q=/../', '/webhooks/a%20b', '/webhooks/%61'])(
    '%s passes, with every method, and leaves no cookie',
    async (path) => {
      const { request } = setup({ rules })
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'x'])
        expect(await request(`${method} ${path}`)).toEqual(PASSES)
      expect(await request(`GET http://demo.example.com${path}`)).toEqual(PASSES)
    },
  )

  test.each([
    '/',
    '/admin',
    '/healthz/',
    '/healthz/x',
    '/webhooks',
    '/webhooks/',
    '/webhooks/?a',
    '/Webhooks/x',
    '/webhooksx/',
    '/a/webhooks/x',
  ])('%s does not', async (path) => expect(await setup({ rules }).request(`GET ${path}`)).toBe('visitor-unauthorised'))

  test.each([
    'SCRIPT_NAME: /webhooks',
    'Script-Name: /webhooks',
    'X-Forwarded-Prefix: /webhooks',
    'Path_Info: /admin',
    'any_thing: 1',
  ])('%s makes another path of it for some servers', async (field) =>
    expect(await setup({ rules }).request('GET /webhooks/admin', field)).toBe('visitor-unauthorised'),
  )

  test.each([
    ...[
      '/webhooks/../admin',
      '/webhooks/%2e%2e/admin',
      '/webhooks/..%2fadmin',
      '/webhooks//admin',
      '/webhooks/..;/admin',
    ],
    ...[
      '/webhooks/..\\admin',
      '/webhooks/%252e%252e/admin',
      '/webhooks/%c0%ae%c0%ae/admin',
      '/webhooks/.',
      '/webhooks/gr%C3%BC',
      '/webhooks/%c4%ae%c4%ae/admin',
    ],
    '//webhooks/x',
    '/./webhooks/x',
    '/x/../webhooks/x',
    '/%77ebhooks/x',
    '/webhooks%2fx',
    '\\webhooks\\x',
    '/webhooks;a/x',
    '/healthz%00',
    '/healthz%3fa',
    '/healthz;a',
    '/healthz/.',
    '/webhooks/\xc3\xbc/..',
  ])('%j does not either', async (path) => {
    const { request } = setup({ rules })
    await expect(request(`GET ${path}`).catch((fault) => (fault as TunnelFault).code)).resolves.toMatch(
      /^(?:visitor-unauthorised|request-invalid)$/,
    )
  })

  test.each([
    'X-Original-URL',
    'x-rewrite-url',
    'X_ORIGINAL_URL',
    'X-Original-Uri',
    'X-HTTP-Method-Override',
    'X.Rewrite~URL',
  ])('a request with %s does not, wherever it points', async (name) => {
    const { request } = setup({ rules })
    expect(await request('GET /webhooks/x', `${name}: /webhooks/x`)).toBe('visitor-unauthorised')
    expect(await request('GET /webhooks/x', `${name}: /webhooks/x`, basic('ann:pw'))).toMatchObject({ signedIn: true })
  })

  test('Authorization there is the local server’s own, but for the tunnel’s password', async () => {
    const { request, hashed } = setup({ rules })
    for (const kept of [['Authorization: Bearer abc'], [basic('hook:own')], ['Authorization: Basic ???']])
      expect(await request('POST /webhooks/x', ...kept)).toEqual({ kept, signedIn: false })
    expect(await request('POST /webhooks/x', basic('ann:pw'))).toEqual({ kept: [], signedIn: true })
    expect(hashed).toEqual(['hook:own', 'ann:pw'])
  })

  test('the password cannot be guessed there any faster', async () => {
    const { request } = setup({ rules })
    const codes = []
    for (let i = 0; i < 12; i++) codes.push(await request('GET /webhooks/x', basic(`ann:${i}`)))
    expect(codes.slice(10)).toEqual(['visitor-locked-out', 'visitor-locked-out'])
    expect(await request('GET /webhooks/x')).toEqual(PASSES)
  })

  test('two Authorization fields are refused there as well', async () => {
    const { request } = setup({ rules })
    expect(await request('GET /healthz', 'Authorization: Bearer a', 'Authorization: Bearer b')).toBe(
      'visitor-unauthorised',
    )
  })
})

describe('a password in an odd spelling', () => {
  const BASE64 = Buffer.from('ann:pw').toString('base64')
  const rules = { basicAuth: { ...basicAuth('ann:pw'), except: ['/hooks/*'] } }

  test.each([
    ['a tab', `Basic\t${BASE64}`],
    ['several blanks', `Basic  \t ${BASE64}`],
    ['lower case', `basic ${BASE64}`],
    ['a tab behind it', `Basic ${BASE64}\t`],
    ['no blank', `Basic${BASE64}`],
    ['a blank within', `Basic ${BASE64.slice(0, 4)} ${BASE64.slice(4)}`],
    ['a comma', `Basic ${BASE64}, x`],
    ['quotes', `Basic "${BASE64}"`],
    ['a character before the scheme', `,Basic ${BASE64}`],
    ['too many equals signs', `Basic ${BASE64}===`],
  ])('%s: does not reach the local server on an exempt path', async (_title, value) => {
    const { request } = setup({ rules })
    expect(await request('GET /hooks/x', `Authorization: ${value}`)).toMatchObject({ kept: [] })
  })

  test.each([`Basic\t${BASE64}`, `bASIC  ${BASE64}\t`])('%j is checked as the usual spelling is', async (value) => {
    expect(await setup().ask(`Authorization: ${value}`)).toMatchObject({ kept: [] })
  })

  test('credentials that cannot be the password do reach the local server', async () => {
    const { request } = setup({ rules })
    for (const value of ['Bearer abc', `Basic ${Buffer.from('key').toString('base64')}`])
      expect(await request('GET /hooks/x', `Authorization: ${value}`)).toMatchObject({
        kept: [`Authorization: ${value}`],
      })
  })
})
