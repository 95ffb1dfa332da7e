import { describe, expect, test } from 'vitest'
import { parseArgs } from './args.ts'

const parse = (...argv: string[]) => parseArgs(argv, '1.2.3')
const usageFault = (detail: RegExp) =>
  expect.objectContaining({ code: 'usage-invalid', exit: 2, message: expect.stringMatching(detail) })

describe('the command line', () => {
  test('http takes a target and its options', () => {
    expect(parse('http', '3000')).toEqual({
      kind: 'http',
      target: '3000',
      flags: { via: true, pool: false, retry: false, quiet: false },
    })
    expect(
      parse(
        'http',
        'web:80',
        '--subdomain',
        'demo',
        '--server=https://x.dev',
        '--token-file',
        '-',
        '--retry',
        '--quiet',
      ),
    ).toEqual({
      kind: 'http',
      target: 'web:80',
      flags: {
        subdomain: 'demo',
        server: 'https://x.dev',
        tokenFile: '-',
        via: true,
        pool: false,
        retry: true,
        quiet: true,
      },
    })
  })

  test('the local server speaks HTTP/1.1 or h2c, and nothing else', () => {
    expect(parse('http', '50051', '--upstream-protocol', 'h2c')).toMatchObject({ flags: { upstreamProtocol: 'h2c' } })
    expect(() => parse('http', '50051', '--upstream-protocol', 'h2')).toThrow(usageFault(/http\/1\.1, h2c/))
  })

  test('what is said about visitors may be said several times', () => {
    const { flags } = parse(
      ...['http', '3000', '--basic-auth-file', 'visitors', '--basic-auth', 'ann:pw', '--basic-auth', 'bob:pw'],
      ...['--basic-auth-allow-preflight', '--basic-auth-except', '/healthz', '--basic-auth-except', '/webhooks/*'],
      ...['--allow-cidr', '10.0.0.0/8', '--allow-cidr', '::1', '--deny-cidr=10.9.0.0/16', '--host-header', 'rewrite'],
      ...['--request-header-add', 'X-A: b', '--request-header-remove', 'Cookie'],
      ...['--response-header-add', 'X-C: d', '--response-header-remove', 'Server', '--response-header-remove', 'Date'],
      '--no-via',
    ) as { flags: object }
    expect(flags).toEqual({
      basicAuthFile: 'visitors',
      basicAuth: ['ann:pw', 'bob:pw'],
      basicAuthAllowPreflight: true,
      basicAuthExcept: ['/healthz', '/webhooks/*'],
      allowCidr: ['10.0.0.0/8', '::1'],
      denyCidr: ['10.9.0.0/16'],
      requestHeaderAdd: ['X-A: b'],
      requestHeaderRemove: ['Cookie'],
      responseHeaderAdd: ['X-C: d'],
      responseHeaderRemove: ['Server', 'Date'],
      hostHeader: 'rewrite',
      via: false,
      pool: false,
      retry: false,
      quiet: false,
    })
  })

  test.each([
    ['10s', 10_000],
    ['0', 0],
    ['1m', 60_000],
  ])('--hold %s', (text, hold) => {
    expect(parse('http', '3000', '--hold', text)).toMatchObject({ flags: { hold } })
  })

  test.each([
    ['90s', 90_000],
    ['60m', 3_600_000],
    ['0', 0],
  ])('--first-byte %s', (text, firstByte) => {
    expect(parse('http', '3000', '--first-byte', text)).toMatchObject({ flags: { firstByte } })
  })

  test.each(['90', '61m', '-1s', 'never'])('--first-byte %s is refused, and says what it may be', (text) => {
    expect(() => parse('http', '3000', '--first-byte', text)).toThrow(usageFault(/--first-byte.*90s.*at most 60m/))
  })

  test.each(['10', '61s', '-1s', 'forever'])('--hold %s is refused, and says what it may be', (text) => {
    expect(() => parse('http', '3000', '--hold', text)).toThrow(usageFault(/--hold.*10s.*at most 60s/))
  })

  test('-h and --version are answers, not errors', () => {
    expect(parse('--version')).toEqual({ kind: 'told', text: '1.2.3\n' })
    expect(parse('-h')).toMatchObject({ kind: 'told', text: expect.stringContaining('Exit codes') })
    expect(parse('http', '-h')).toMatchObject({ kind: 'told', text: expect.stringContaining('--token-file') })
  })

  test.each([
    [['http']],
    [[]],
    [['http', '3000', '--nonsense']],
    [['http', '3000', '--subdomain']],
    [['http', '3000', 'extra']],
    [['tcp', '22']],
  ])('%j is a usage error', (argv) => {
    expect(() => parse(...argv)).toThrow(usageFault(/./))
  })

  test('an unknown option is named', () => {
    expect(() => parse('http', '3000', '--subdomian', 'demo')).toThrow(usageFault(/--subdomian/))
  })

  test.each([[['--token', 'pst_usecretsecret']], [['--token=pst_usecretsecret']], [['--token']]])(
    '%j is refused: it names the alternatives and repeats nothing',
    (options) => {
      const attempt = () => parse('http', '3000', ...options)
      expect(attempt).toThrow(usageFault(/--token-file.*TUNNEL_AGENT_TOKEN/))
      expect(attempt).not.toThrow(/secretsecret/)
    },
  )

  test('help does not offer --token', () => {
    const help = parse('http', '--help')
    expect(help.kind === 'told' && help.text).not.toMatch(/--token[ =,]/)
  })
})
