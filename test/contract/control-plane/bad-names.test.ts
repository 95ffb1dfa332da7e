import type { FaultCode } from '@postern/protocol/fault'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newWorld, type World } from './call-table.ts'
import { expectProblem } from './expect-problem.ts'

let world: World
beforeAll(async () => {
  world = await newWorld()
})
afterAll(() => world.stop())

const words = (text: string): string[] => text.split(/\s+/)
const within = (characters: string[]): string[] => characters.map((character) => `de${character}mo`)
const range = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, at) => String.fromCodePoint(from + at))

const INVALID: Record<string, string[]> = {
  'too short or too long': [
    'a',
    'ab',
    'mx',
    'ns',
    '1',
    '42',
    'a'.repeat(64),
    'a'.repeat(100),
    'a-'.repeat(120),
    'a'.repeat(253),
  ],
  'with a hyphen where none may be': words('-demo demo- -demo- --- ---- -a- a-- --a a-b- -1-'),
  'that look like punycode': words('xn--bcher-kva xn--80ak6aa92e xn--a xn--- ab--cd de--mo xN--demo xn--demo a1--b2'),
  'with an upper case letter': [...within(range(0x41, 0x5a)), 'Demo', 'DEMO', 'demO'],
  'with a control character': within([...range(0, 0x1f), ...range(0x7f, 0x9f)]),
  'with white space': [' demo', 'demo ', '\tdemo', 'demo\n', 'demo\r\n', 'de mo'],
  'with white space beyond ASCII': within([...'\u00a0\u1680\u2000\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff']),
  'with punctuation': within([...'!"#$%&\'()*+,./:;<=>?@[\\]^_`{|}~']),
  'with dots': ['a.b', '.demo', 'demo.', 'demo..', 'demo.example.com', 'www.demo', '127.0.0.1', 'a.b.c'],
  'with underscores': ['_demo', 'demo_', '_acme-challenge', '__proto__', '_dmarc', 'a_b'],
  'that are a way out of a path': ['../demo', '..\\demo', 'demo/..', '/demo', 'demo/', '//', './demo', 'demo/../www'],
  'encoded once more': ['%64emo', 'demo%00', '%2e%2e', 'de%6do', 'demo%20', '%2Fdemo', '&#100;emo', 'de\\u006do'],
  'in another script': [
    'демо',
    'δέμο',
    'דמו',
    'عرض',
    '演示',
    'デモ',
    '데모',
    'เดโม',
    'डेमो',
    'bücher',
    'façade',
    'niño',
    'straße',
  ],
  'of letters that look like others': [
    'dеmo',
    'dемо',
    'аpple',
    'gооgle',
    'dem0о',
    'ｄｅｍｏ',
    'ⅾemo',
    '𝐝𝐞𝐦𝐨',
    '𝚍emo',
    'ⓓemo',
    'dᴇmo',
    'dëmo',
    'demⲟ',
    'ԁemo',
  ],
  'that lower or normal case would make good': [
    'demoK',
    'ſmith',
    'İstan',
    'ﬁle',
    'de\u0301mo',
    'demo\u0308',
    '①②③',
    '½cup',
    'ªbc',
  ],
  'of other digits': ['١٢٣', '۱۲۳', '१२३', '１２３', '𝟏𝟐𝟑', '²³¹', '⑴⑵⑶'],
  'with what cannot be seen': within([
    ...'\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202e\u2060\u2066\u2069\ufe0f',
  ]),
  'with other hyphens and dots': within([
    ...'\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\uff0d\u3002\uff0e\uff61\u00b7',
  ]),
  'with a picture': ['🚇demo', 'demo🚇', '🚇🚇🚇', '👩‍💻dev', '🇨🇭abc', 'demo❤️', '☃️☃️☃️', '1️⃣2️⃣3️⃣'],
  'that are code or a question': [
    "demo'or'1",
    'demo;ls',
    '$(id)',
    '`id`',
    '#{demo}',
    '{{demo}}',
    '<b>demo',
    'demo--"',
    '|demo',
    'demo&x=1',
  ],
  'that are an address': [
    'demo:80',
    '[::1]',
    'user@demo',
    'http:demo',
    'demo?x',
    'demo#x',
    '*',
    '*demo',
    'demo*',
    '**',
  ],
}

const RESERVED = words(
  `www www1 www2 api admin administrator root mail smtp imap pop pop3 webmail postmaster hostmaster webmaster abuse noc
  security ns1 ns2 dns ftp localhost localdomain wpad autodiscover autoconfig isatap broadcasthost mta-sts status
  healthz console dashboard login signin signup register account accounts auth oauth sso openid billing static cdn assets
  docs help support blog app apps control channel tunnel tunnels proxy postern tls ssl trust http https info news uucp
  usenet vpn metrics internal system service server manage operator owner portal public secure host home ops sysadmin`,
)

const isRefused = async (name: string, code: FaultCode) => {
  const ticket = { method: 'POST', path: '/v1/tickets', bearer: world.ann, body: { username: 'ann', subdomain: name } }
  expect([name, expectProblem(await world.call(ticket), code).code]).toEqual([name, code])
  const path = `/v1/subdomains/${encodeURIComponent(name)}`
  const reserving = { method: 'PUT', path, bearer: world.ann }
  expect([name, expectProblem(await world.call(reserving), code).code]).toEqual([name, code])
}

test.each(Object.entries(INVALID))('names %s are refused', async (_, names) => {
  for (const name of names) await isRefused(name, 'subdomain-invalid')
})

test('names that the service, browsers, mail or certificates give a meaning are reserved', async () => {
  for (const name of RESERVED) await isRefused(name, 'subdomain-reserved')
})

test('an address that names nothing takes no name', async () => {
  const codeOf = async (path: string) =>
    (await world.call({ method: 'PUT', path: `/v1/subdomains/${path}`, bearer: world.ann })).json
  for (const path of ['', '.', '%2e']) expect(await codeOf(path)).toMatchObject({ code: 'method-not-allowed' })
  for (const path of ['..', '%2e%2e', '%ff', '%', '%zz', 'a/b']) {
    expect(await codeOf(path)).toMatchObject({ code: 'not-found' })
  }
})

test('half a character, and more than a domain holds, is refused in a ticket', async () => {
  const ask = (subdomain: string) =>
    world.call({ method: 'POST', path: '/', bearer: world.ann, body: { username: 'ann', subdomain } })
  expectProblem(await ask('demo\ud800'), 'subdomain-invalid')
  expectProblem(await ask(''), 'subdomain-invalid')
  expectProblem(await ask('a'.repeat(254)), 'request-malformed')
})

test('these were more than 200 names, and none of them is in the table', async () => {
  const names = [...Object.values(INVALID).flat(), ...RESERVED]
  expect(new Set(names).size).toBeGreaterThan(300)
  const kept = (await world.dump()).filter(({ pk }) => /^(SUBS|SUB#|TICKET#)/.test(pk?.S ?? ''))
  expect(kept).toEqual([])
  expect((await world.stores.users.find('ann'))?.subdomains).toEqual({})
})
