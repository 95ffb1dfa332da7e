import { describe, expect, test } from 'vitest'
import { type AgentMessage, agentMessages, readMessage } from './control-messages.ts'
import { hashCredentials } from './credential-hash.ts'
import { visitorRulesSchema } from './visitor-rules.ts'

const salt = Buffer.alloc(16, 7).toString('base64url')
const hash = Buffer.alloc(32, 9).toString('base64url')
const accepts = (rules: unknown): boolean => visitorRulesSchema.safeParse(rules).success

describe('visitor rules', () => {
  test.each([
    ['none at all', {}],
    ['an allow list that lets nobody in', { allow: [] }],
    ['networks of both families', { allow: ['10.0.0.0/8', '2001:db8::/32'], deny: ['10.9.0.0/16', '::1'] }],
    ['basic authentication', { basicAuth: { salt, hashes: [hash] } }],
    [
      'header changes',
      {
        requestHeaders: {
          add: [
            ['X-A', 'b c'],
            ['X-A', ''],
          ],
          remove: ['Accept'],
        },
        responseHeaders: {},
      },
    ],
    ['the removal of cookies', { requestHeaders: { remove: ['Cookie'] }, responseHeaders: { remove: ['Set-Cookie'] } }],
    ['a host with a port', { host: 'localhost:3000' }],
    ['an IPv6 host', { host: '[::1]:3000' }],
  ])('may be %s', (_, rules) => {
    expect(accepts(rules)).toBe(true)
  })

  test.each([
    ['an unknown rule', { ipv4Only: true }],
    ['an unknown member of a rule', { basicAuth: { salt, hashes: [hash], algorithm: 'md5' } }],
    ['an unknown kind of header change', { requestHeaders: { set: [['X-A', 'b']] } }],
    ['a password in clear', { basicAuth: ['ann:secret'] }],
    ['no hash', { basicAuth: { salt, hashes: [] } }],
    ['a short salt', { basicAuth: { salt: salt.slice(2), hashes: [hash] } }],
    ['a hash that is not canonical', { basicAuth: { salt, hashes: [`${hash}=`] } }],
    ['a network with bits behind its prefix', { allow: ['10.0.0.1/8'] }],
    ['a name for a network', { deny: ['example.com'] }],
    ['null for a list', { allow: null }],
    ['more networks than anybody needs', { deny: Array(101).fill('10.0.0.0/8') }],
    ['a line break in a value', { requestHeaders: { add: [['X-A', 'b\r\nX-B: c']] } }],
    ['a line feed in a name', { responseHeaders: { add: [['X-A\nX-B', 'c']] } }],
    ['a colon in a name', { responseHeaders: { remove: ['X-A:'] } }],
    ['an empty name', { requestHeaders: { remove: [''] } }],
    ['bytes beyond ASCII in a value', { requestHeaders: { add: [['X-A', 'ü']] } }],
    ['a cookie of our making', { responseHeaders: { add: [['Set-Cookie', 'a=1; Domain=example.com']] } }],
    ['a host with a path', { host: 'localhost/admin' }],
    ['a host with user information', { host: 'ann@localhost' }],
    ['an empty host', { host: '' }],
    ['a host with a line break', { host: 'a\r\nX: y' }],
  ])('may not hold %s', (_, rules) => {
    expect(accepts(rules)).toBe(false)
  })

  const ours = [
    ...[
      'Host',
      'Content-Length',
      'Transfer-Encoding',
      'Connection',
      'Keep-Alive',
      'Upgrade',
      'TE',
      'Trailer',
      'Expect',
    ],
    ...['Proxy', 'Proxy-Authorization', 'Proxy-Anything', 'Via', 'Forwarded', 'X-Forwarded-For', 'X-Forwarded-Proto'],
    ...['X-Forwarded-Host', 'X-Forwarded-Anything', 'X-Real-IP', 'Postern-Request-Id', 'tunnel-error'],
  ]
  const spellings = ours.flatMap((name) => [name, name.toUpperCase(), name.toLowerCase(), name.replaceAll('-', '_')])

  test.each(spellings)('may neither add nor remove %s', (name) => {
    for (const side of ['requestHeaders', 'responseHeaders']) {
      expect(accepts({ [side]: { add: [[name, '1']] } })).toBe(false)
      expect(accepts({ [side]: { remove: [name] } })).toBe(false)
    }
  })

  test('that do not fit refuse the hello, and the reason quotes nothing but the place', () => {
    const hello = {
      type: 'hello',
      version: '1',
      instanceId: 'i',
      slot: 0,
      pool: false,
      rules: { allow: ['no network'] },
    }
    const read = readMessage<AgentMessage>(Buffer.from(JSON.stringify(hello)), agentMessages)
    expect(read.fault).toMatchObject({ code: 'hello-invalid' })
    expect(read.fault!.detail).toMatch(/^hello: rules allow 0 expected an IP address/)
    expect(read.fault!.detail).not.toContain('no network')
  })
})

describe('the hash of a name and a password', () => {
  test('is scrypt with N = 16384, r = 8, p = 1, of 32 bytes', async () => {
    // Computed with Python's hashlib.scrypt.
    const read = await hashCredentials(Buffer.from('ann:s3cret'), Buffer.alloc(16, 1))
    expect(read.toString('hex')).toBe('81fae8acd020211d786a9cce0d336f710fc0e4dfe6f1f919e2595d7c5b3072ea')
  })
})
