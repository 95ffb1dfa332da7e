import { hashCredentials } from '@postern/protocol/channel'
import { Secret } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { parseTarget } from './target.ts'
import { credentialSalt, type VisitorOptions, visitorRules } from './visitor-options.ts'

const SALT = Buffer.alloc(16, 's')
const rulesOf = (options: VisitorOptions, target = '3000') => visitorRules(options, parseTarget(target), SALT)

test('without options there are no rules', async () => {
  expect(await rulesOf({})).toEqual({})
  expect(await rulesOf({ hostHeader: 'preserve', via: true })).toEqual({})
})

test('each option becomes its rule; an empty allow list stays one', async () => {
  expect(
    await rulesOf({
      allowCidr: [],
      denyCidr: ['10.0.0.0/8'],
      requestHeaders: { add: [['X-A', 'b']], remove: ['Cookie'] },
      responseHeaders: { remove: ['Server'] },
      via: false,
    }),
  ).toEqual({
    allow: [],
    deny: ['10.0.0.0/8'],
    requestHeaders: { add: [['X-A', 'b']], remove: ['Cookie'] },
    responseHeaders: { remove: ['Server'] },
    via: false,
  })
})

test.each([
  ['rewrite', '3000', 'localhost:3000'],
  ['rewrite', '127.0.0.1:8080', '127.0.0.1:8080'],
  ['rewrite', '[::1]:8080', '[::1]:8080'],
  ['rewrite', 'http://shop.test', 'shop.test'],
  ['shop.test', '3000', 'shop.test'],
])('host header %s for the target %s is %s', async (hostHeader, target, host) => {
  expect(await rulesOf({ hostHeader }, target)).toEqual({ host })
})

test('names and passwords leave as hashes under one salt, in the composed form', async () => {
  const rules = await rulesOf({ basicAuth: ['ann:pa:ss', 'u\u0308:x'] })
  const salt = Buffer.from(rules.basicAuth!.salt, 'base64url')
  const expected = await Promise.all(['ann:pa:ss', 'ü:x'].map((text) => hashCredentials(Buffer.from(text), salt)))
  expect(rules.basicAuth!.hashes).toEqual(expected.map((hash) => hash.toString('base64url')))
  expect(salt).toEqual(SALT)
})

test('the salt is the same for a token and a name, and differs for every other', () => {
  const salts = [
    credentialSalt(new Secret('one'), 'demo'),
    credentialSalt(new Secret('one'), 'other'),
    credentialSalt(new Secret('two'), 'demo'),
  ].map((salt) => salt.toString('hex'))
  expect(new Set(salts).size).toBe(3)
  expect(salts[0]).toHaveLength(32)
  expect(credentialSalt(new Secret('one'), 'demo').toString('hex')).toBe(salts[0])
})

test('exemptions go with the passwords', async () => {
  const rules = await rulesOf({
    basicAuth: ['ann:pw'],
    basicAuthAllowPreflight: true,
    basicAuthExcept: ['/healthz', '/webhooks/*', '/a%20b'],
  })
  expect(rules.basicAuth).toMatchObject({ allowPreflight: true, except: ['/healthz', '/webhooks/*', '/a%20b'] })
})

describe('what cannot work is refused with the name of its option', () => {
  test.each<[string, VisitorOptions]>([
    ['allow-cidr 1: expected an IP address', { allowCidr: ['10.0.0.0/8', '10.0.0.1/8'] }],
    ['deny-cidr 0: expected an IP address', { denyCidr: ['everybody'] }],
    ['request-header add 0 0: this field belongs', { requestHeaders: { add: [['X-Forwarded-For', '1.1.1.1']] } }],
    ['response-header remove 0: this field belongs', { responseHeaders: { remove: ['Connection'] } }],
    ['response-header add 0 1: expected printable', { responseHeaders: { add: [['X-A', 'b\nX-B: c']] } }],
    ['host-header: expected a host', { hostHeader: 'http://localhost' }],
    ['exemption from passwords needs one', { basicAuthAllowPreflight: true }],
    ['exemption from passwords needs one', { basicAuthExcept: ['/a'] }],
    ...['', 'a', '*', '/*', '/a*', '/a/*/b', '/a//b', '/../a', '/a/%2e%2e/b', '/a%2fb', '/a?b', '/a b', '/ä\\'].map(
      (path): [string, VisitorOptions] => [
        'basic-auth except 0: expected a path',
        { basicAuth: ['ann:pw'], basicAuthExcept: [path] },
      ],
    ),
    ['basic-auth: there is no name:password', { basicAuth: [] }],
  ])('%s', async (detail, options) => {
    await expect(rulesOf(options)).rejects.toMatchObject({ code: 'usage-invalid', exit: 2 })
    await expect(rulesOf(options)).rejects.toThrow(detail)
  })

  test.each(['hidden', ':hidden', 'ann:', 'ann:hidden\n', `ann:hidden${'x'.repeat(600)}`])(
    'the credentials %j, which no message repeats',
    async (text) => {
      const failure: Error = await rulesOf({ basicAuth: [text] }).then(
        () => new Error('was taken'),
        (error) => error,
      )
      expect(failure).toMatchObject({ code: 'usage-invalid' })
      expect(failure.message).not.toContain('hidden')
    },
  )
})
