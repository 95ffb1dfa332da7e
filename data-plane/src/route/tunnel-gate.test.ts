import { randomBytes } from 'node:crypto'
import type { VisitorRules } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { RequestHeadParser } from '@postern/protocol/http'
import {
  CREDENTIAL_CHECKS_WAITING,
  CREDENTIAL_REFUSALS_KEPT,
  WRONG_PASSWORDS_PER_MINUTE,
  WRONG_PASSWORDS_WINDOW_MS,
} from '@postern/protocol/limits'
import { newDeploymentSecret, parseDeploymentKeys } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { tunnelGate } from './tunnel-gate.ts'
import { Turnstile } from './turnstile.ts'
import type { Admission, Verdict } from './visitor-gate.ts'
import { WrongPasswords } from './wrong-passwords.ts'

const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))

const headWith = (...lines: string[]) => {
  const text = ['GET / HTTP/1.1', 'Host: demo.example.com', ...lines, '', ''].join('\r\n')
  return new RequestHeadParser().parse(Buffer.from(text), 0, text.length)!
}
const basic = (credentials: string) => `Authorization: Basic ${Buffer.from(credentials).toString('base64')}`

/** In place of the slow hash: 32 bytes that name what was hashed, the salt among it. */
const nameOf = (credentials: Buffer, salt: Buffer) =>
  Buffer.concat([credentials, Buffer.from('|'), salt, Buffer.alloc(32)]).subarray(0, 32)
const SALT = Buffer.alloc(16, 's')

interface Given {
  readonly held?: boolean
  readonly atOnce?: number
  readonly name?: string
  readonly clock?: { now: number }
  /** Those of the node, where it has other channels. */
  readonly counted?: WrongPasswords
}

/** A gate whose hashes are counted, and end when the test says so if `held`. */
function gateOf(
  rules: VisitorRules,
  { held = false, atOnce = 2, name = 'demo', clock = { now: 0 }, counted }: Given = {},
) {
  const hashed: string[] = []
  const release: (() => void)[] = []
  const wrongPasswords = counted ?? new WrongPasswords(() => clock.now)
  const gate = tunnelGate(name, rules, {
    keys,
    clock: () => clock.now,
    key: Buffer.alloc(32, 1),
    turnstile: new Turnstile(atOnce),
    wrongPasswords,
    now: () => clock.now,
    hash: async (credentials, salt) => {
      hashed.push(credentials.toString())
      if (held) await new Promise<void>((resolve) => release.push(resolve))
      return nameOf(credentials, salt)
    },
  })!
  const code = async (address: string, ...lines: string[]) => codeOf(await gate.judge(address, headWith(...lines)))
  return { gate, code, hashed, release, clock }
}

const codeOf = (verdict: Verdict) => (verdict instanceof TunnelFault ? verdict.code : undefined)

const basicAuth = (...credentials: string[]) => ({
  salt: SALT.toString('base64url'),
  hashes: credentials.map((text) => nameOf(Buffer.from(text), SALT).toString('base64url')),
})

const HERE = '192.0.2.1'

test('without a rule there is no gate', () => {
  const now = () => 0
  const wrongPasswords = new WrongPasswords(now)
  const deps = {
    key: Buffer.alloc(32),
    turnstile: new Turnstile(1),
    wrongPasswords,
    now,
    hash: async () => SALT,
    keys,
    clock: now,
  }
  expect(tunnelGate('demo', {}, deps)).toBeUndefined()
  expect(tunnelGate('demo', { allow: undefined }, deps)).toBeUndefined()
  expect(tunnelGate('demo', { allow: [] }, deps)).toBeDefined()
})

describe('addresses', () => {
  test('an allow list lets in whom it holds, an empty one nobody', async () => {
    const { code } = gateOf({ allow: ['10.0.0.0/8', '2001:db8::/32'] })
    expect(await code('10.1.2.3')).toBeUndefined()
    expect(await code('::ffff:10.1.2.3')).toBeUndefined()
    expect(await code('2001:db8:1::1')).toBeUndefined()
    expect(await code('11.1.2.3')).toBe('visitor-not-allowed')
    expect(await code('::1')).toBe('visitor-not-allowed')
    expect(await gateOf({ allow: [] }).code('127.0.0.1')).toBe('visitor-not-allowed')
  })

  test('a deny list keeps out whom it holds, also where they are allowed, and lets in everybody else', async () => {
    const both = gateOf({ allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] })
    expect(await both.code('10.8.0.1')).toBeUndefined()
    expect(await both.code('10.9.0.1')).toBe('visitor-not-allowed')
    expect(await both.code('::ffff:10.9.0.1')).toBe('visitor-not-allowed')
    const denied = gateOf({ deny: ['10.9.0.0/16'] })
    expect(await denied.code('10.9.0.1')).toBe('visitor-not-allowed')
    expect(await denied.code('203.0.113.9')).toBeUndefined()
    expect(await gateOf({ deny: [] }).code(HERE)).toBeUndefined()
  })

  test('an address that cannot be read is on no allow list and on every deny list', async () => {
    expect(await gateOf({ allow: ['0.0.0.0/0', '::/0'] }).code('unknown')).toBe('visitor-not-allowed')
    expect(await gateOf({ deny: ['10.0.0.0/8'] }).code('unknown')).toBe('visitor-not-allowed')
  })

  test('who may not come is not asked for a password, and costs no hash', async () => {
    const { code, hashed } = gateOf({ deny: [`${HERE}/32`], basicAuth: basicAuth('ann:pw') })
    expect(await code(HERE, basic('ann:pw'))).toBe('visitor-not-allowed')
    expect(hashed).toEqual([])
  })
})

describe('names and passwords', () => {
  test('each of them lets in, others do not', async () => {
    const { code } = gateOf({ basicAuth: basicAuth('ann:pw', 'bob:with:colons') })
    expect(await code(HERE, basic('ann:pw'))).toBeUndefined()
    expect(await code(HERE, basic('bob:with:colons'))).toBeUndefined()
    for (const wrong of ['ann:with:colons', 'ann:', ':pw', 'ann:pw ', 'ANN:pw', ':'])
      expect(await code(HERE, basic(wrong))).toBe('visitor-unauthorised')
  })

  test.each([
    ['no Authorization', []],
    ['another scheme', ['Authorization: Bearer YW5uOnB3']],
    ['a scheme alone', ['Authorization: Basic']],
    ['an empty value', ['Authorization:']],
    ['no base64', ['Authorization: Basic ann:pw']],
    ['base64 with a space', ['Authorization: Basic YW5u OnB3']],
    ['no colon', [`Authorization: Basic ${Buffer.from('annpw').toString('base64')}`]],
    ['two fields, one of them right', [basic('ann:pw'), basic('ann:other')]],
    ['the same twice', [basic('ann:pw'), basic('ann:pw')]],
    ['more than any password', [basic(`ann:${'x'.repeat(600)}`)]],
  ])('%s is refused without a hash', async (_, lines) => {
    const { code, hashed } = gateOf({ basicAuth: basicAuth('ann:pw') })
    expect(await code(HERE, ...lines)).toBe('visitor-unauthorised')
    expect(hashed).toEqual([])
  })

  test('the scheme may be in any case, the padding left out', async () => {
    const { code } = gateOf({ basicAuth: basicAuth('ann:pw1') })
    expect(await code(HERE, 'Authorization: bASIC   YW5uOnB3MQ==')).toBeUndefined()
    expect(await code(HERE, 'Authorization: Basic YW5uOnB3MQ')).toBeUndefined()
  })

  test('a pair is hashed once, right or wrong, and from then on judged at once', async () => {
    const { gate, code, hashed } = gateOf({ basicAuth: basicAuth('ann:pw') })
    await code(HERE, basic('ann:pw'))
    await code(HERE, basic('ann:no'))
    expect(gate.judge(HERE, headWith(basic('ann:pw')))).toHaveProperty('request')
    expect(gate.judge(HERE, headWith(basic('ann:no')))).toBeInstanceOf(TunnelFault)
    expect(hashed).toEqual(['ann:pw', 'ann:no'])
  })

  test('six connections of a browser with the same new password cost one hash', async () => {
    const { gate, hashed, release } = gateOf({ basicAuth: basicAuth('ann:pw') }, { held: true })
    const verdicts = Array.from({ length: 6 }, () => gate.judge(HERE, headWith(basic('ann:pw'))))
    await expect.poll(() => release.length).toBe(1)
    release[0]!()
    expect((await Promise.all(verdicts)).map(codeOf)).toEqual(Array(6).fill(undefined))
    expect(hashed).toHaveLength(1)
  })

  test('remembered refusals are bounded, and never push out a password that was right', async () => {
    const { code, clock, hashed } = gateOf({ basicAuth: basicAuth('ann:pw') })
    await code(HERE, basic('ann:pw'))
    for (let i = 0; i <= CREDENTIAL_REFUSALS_KEPT; i++) {
      await code(HERE, basic(`ann:${i}`))
      clock.now += WRONG_PASSWORDS_WINDOW_MS
    }
    const before = hashed.length
    await code(HERE, basic('ann:pw'))
    await code(HERE, basic('ann:1'))
    expect(hashed.length).toBe(before)
    await code(HERE, basic('ann:0'))
    expect(hashed.length).toBe(before + 1)
  })

  test('of many wrong ones at once ten are hashed', async () => {
    const { code, hashed } = gateOf({ basicAuth: basicAuth('ann:pw') })
    const codes = await Promise.all(
      Array.from({ length: CREDENTIAL_CHECKS_WAITING }, (_, i) => code(HERE, basic(`ann:${i}`))),
    )
    const wrong = codes.filter((each) => each === 'visitor-unauthorised').length
    expect([hashed.length, wrong]).toEqual([WRONG_PASSWORDS_PER_MINUTE, WRONG_PASSWORDS_PER_MINUTE])
    expect(codes.at(-1)).toBe('visitor-locked-out')
  })

  test('after ten wrong ones an address waits for its minute; what was right before passes, and so do other addresses', async () => {
    const { gate, code, clock, hashed } = gateOf({ basicAuth: basicAuth('ann:pw', 'bob:pw') })
    await code('2001:db8::1', basic('ann:pw'))
    for (let i = 0; i < WRONG_PASSWORDS_PER_MINUTE; i++)
      expect(await code(`2001:db8::${i + 1}`, basic(`ann:${i}`))).toBe('visitor-unauthorised')
    const before = hashed.length
    clock.now += 1000
    const locked = await gate.judge('2001:db8::1', headWith(basic('bob:pw')))
    expect(locked).toMatchObject({ code: 'visitor-locked-out', retryAfterMs: WRONG_PASSWORDS_WINDOW_MS - 1000 })
    expect(await code('2001:db8::1', basic('ann:pw'))).toBeUndefined()
    expect(await code('2001:db8::1', basic('ann:0'))).toBe('visitor-unauthorised')
    expect(hashed.length).toBe(before)
    expect(await code('2001:db8:0:1::1', basic('bob:pw'))).toBeUndefined()
    clock.now += WRONG_PASSWORDS_WINDOW_MS - 1000
    expect(await code('2001:db8::1', basic('ann:new'))).toBe('visitor-unauthorised')
  })

  test('a line that is full is closed; the pairs in it are still judged', async () => {
    const { gate, code, release } = gateOf({ basicAuth: basicAuth('ann:pw') }, { held: true })
    const waiting = Array.from({ length: CREDENTIAL_CHECKS_WAITING }, (_, i) => code(`10.0.0.${i}`, basic(`ann:${i}`)))
    expect(gate.judge(HERE, headWith(basic('ann:pw')))).toMatchObject({ code: 'visitor-checks-busy' })
    for (let i = 0; i < CREDENTIAL_CHECKS_WAITING; i++) {
      await expect.poll(() => release.length).toBe(i + 1)
      release[i]!()
    }
    expect(await Promise.all(waiting)).toEqual(Array(CREDENTIAL_CHECKS_WAITING).fill('visitor-unauthorised'))
  })

  test('wrong passwords count together for all channels of a tunnel, and apart for another tunnel', async () => {
    const clock = { now: 0 }
    const counted = new WrongPasswords(() => clock.now)
    const rules = { basicAuth: basicAuth('ann:pw') }
    const [one, two, other] = ['demo', 'demo', 'shop'].map((name) => gateOf(rules, { name, clock, counted }))
    for (let time = 0; time < WRONG_PASSWORDS_PER_MINUTE; time += 1)
      await (time % 2 === 0 ? one! : two!).code(HERE, basic(`ann:${time}`))
    expect([await one!.code(HERE, basic('ann:x')), await two!.code(HERE, basic('ann:y'))]).toEqual([
      'visitor-locked-out',
      'visitor-locked-out',
    ])
    expect(await other!.code(HERE, basic('ann:x'))).toBe('visitor-unauthorised')
  })

  test('a hash that fails lets nobody in and is tried again', async () => {
    let fails = true
    const gate = tunnelGate(
      'demo',
      { basicAuth: basicAuth('ann:pw') },
      {
        key: Buffer.alloc(32),
        turnstile: new Turnstile(1),
        wrongPasswords: new WrongPasswords(() => 0),
        now: () => 0,
        keys,
        clock: () => 0,
        hash: async (credentials, salt) => {
          if (fails) throw new Error('no memory')
          return nameOf(credentials, salt)
        },
      },
    )!
    expect(await gate.judge(HERE, headWith(basic('ann:pw')))).toMatchObject({ code: 'internal-error' })
    fails = false
    expect(await gate.judge(HERE, headWith(basic('ann:pw')))).toHaveProperty('request')
  })

  test('the password that was for the tunnel goes no further; without basic authentication Authorization does', async () => {
    const requestOf = async (rules: VisitorRules) =>
      ((await gateOf(rules).gate.judge(HERE, headWith(basic('ann:pw')))) as Admission).request
    expect((await requestOf({ basicAuth: basicAuth('ann:pw') })).removed).toEqual(new Set(['authorization']))
    expect((await requestOf({ allow: ['0.0.0.0/0'] })).removed).toBeUndefined()
  })
})

describe('a turnstile', () => {
  test('lets so many pieces of work run at once, the others in the order they came, also after one has failed', async () => {
    const turnstile = new Turnstile(2)
    const begun: number[] = []
    const finish: ((failed?: boolean) => void)[] = []
    const work = (index: number) => () => {
      begun.push(index)
      return new Promise<number>((resolve, reject) => {
        finish[index] = (failed) => (failed ? reject(new Error('failed')) : resolve(index))
      })
    }
    const all = [0, 1, 2, 3].map((index) => turnstile.pass(work(index)).catch(() => -1))
    expect(begun).toEqual([0, 1])
    finish[1]!(true)
    await expect.poll(() => begun).toEqual([0, 1, 2])
    finish[0]!()
    await expect.poll(() => begun).toEqual([0, 1, 2, 3])
    finish[2]!()
    finish[3]!()
    expect(await Promise.all(all)).toEqual([0, -1, 2, 3])
  })
})
