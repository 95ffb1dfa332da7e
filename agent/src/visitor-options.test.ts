import { hashCredentials } from '@postern/protocol/channel'
import { describe, expect, test } from 'vitest'
import { parseTarget } from './target.ts'
import { type VisitorOptions, visitorRules } from './visitor-options.ts'

const rulesOf = (options: VisitorOptions, target = '3000') => visitorRules(options, parseTarget(target))

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

test('names and passwords leave as hashes under one new salt, in the composed form', async () => {
  const rules = await rulesOf({ basicAuth: ['ann:pa:ss', 'u\u0308:x'] })
  const salt = Buffer.from(rules.basicAuth!.salt, 'base64url')
  const expected = await Promise.all(['ann:pa:ss', 'ü:x'].map((text) => hashCredentials(Buffer.from(text), salt)))
  expect(rules.basicAuth!.hashes).toEqual(expected.map((hash) => hash.toString('base64url')))
  expect((await rulesOf({ basicAuth: ['ann:pa:ss'] })).basicAuth!.salt).not.toBe(rules.basicAuth!.salt)
})

describe('what cannot work is refused with the name of its option', () => {
  test.each<[string, VisitorOptions]>([
    ['allow-cidr 1: expected an IP address', { allowCidr: ['10.0.0.0/8', '10.0.0.1/8'] }],
    ['deny-cidr 0: expected an IP address', { denyCidr: ['everybody'] }],
    ['request-header add 0 0: this field belongs', { requestHeaders: { add: [['X-Forwarded-For', '1.1.1.1']] } }],
    ['response-header remove 0: this field belongs', { responseHeaders: { remove: ['Connection'] } }],
    ['response-header add 0 1: expected printable', { responseHeaders: { add: [['X-A', 'b\nX-B: c']] } }],
    ['host-header: expected a host', { hostHeader: 'http://localhost' }],
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
