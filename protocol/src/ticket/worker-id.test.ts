import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { WORKER_ID_BYTES } from '../limits.ts'
import { newDeploymentSecret, parseDeploymentKeys } from './deployment-keys.ts'
import { isIssuedWorkerId, newWorkerId, workerIdHash } from './worker-id.ts'

const newKeys = () => parseDeploymentKeys(newDeploymentSecret(randomBytes))
const keys = newKeys()
const EXPIRES_AT = 1_800_000_000_000
const NOW = EXPIRES_AT - 60_000
const newId = () => newWorkerId(EXPIRES_AT, keys, randomBytes)
const ofAnother = () => newWorkerId(EXPIRES_AT, newKeys(), randomBytes)

test('an id passes under the key that made it', () => {
  expect(isIssuedWorkerId(newId(), keys, NOW)).toBe(true)
})

test('an id is printable ASCII that fits the first line, and no two are alike', () => {
  const ids = Array.from({ length: 100 }, newId)
  for (const id of ids) {
    expect(id).toMatch(/^[\x21-\x7e]+$/)
    expect(id.length).toBeLessThanOrEqual(WORKER_ID_BYTES)
  }
  expect(new Set(ids).size).toBe(100)
})

test('the construction is the documented one: HKDF subkey, HMAC-SHA-256 over random bytes and expiry, cut to 16 bytes', () => {
  const master = Buffer.alloc(32, 7)
  const fixed = parseDeploymentKeys(JSON.stringify({ current: master.toString('hex'), accepted: [] }))
  const body = Buffer.concat([Buffer.alloc(16, 9), Buffer.from('6b49d201', 'hex')])
  const subkey = new Uint8Array(hkdfSync('sha256', master, '', 'postern worker id v1', 32))
  const mac = createHmac('sha256', subkey).update(body).digest().subarray(0, 16)
  const expected = `${fixed.current.id}.${Buffer.concat([body, mac]).toString('base64url')}`
  // 0x6b49d201 = 1,800,000,001: an id is good up to the end of the second in which its ticket expires.
  expect(newWorkerId(EXPIRES_AT + 1, fixed, (bytes) => Buffer.alloc(bytes, 9))).toBe(expected)
})

test.each([
  [-1, true],
  [0, false],
  [86_400_000, false],
])('%i ms after its expiry an id passes: %s', (after, passes) => {
  expect(isIssuedWorkerId(newId(), keys, EXPIRES_AT + after)).toBe(passes)
})

test('an id never expires before its ticket', () => {
  const id = newWorkerId(EXPIRES_AT + 1, keys, randomBytes)
  expect(isIssuedWorkerId(id, keys, EXPIRES_AT)).toBe(true)
  expect(isIssuedWorkerId(id, keys, EXPIRES_AT + 1000)).toBe(false)
})

test('with any one character changed an id does not pass', () => {
  const id = newId()
  const alphabet = [...'ABab01-_.+/=\u00c4 ']
  for (let at = 0; at < id.length; at += 1) {
    for (const other of alphabet.filter((character) => character !== id[at])) {
      const changed = id.slice(0, at) + other + id.slice(at + 1)
      expect(isIssuedWorkerId(changed, keys, NOW), changed).toBe(false)
    }
  }
})

test.each([
  ['nothing', () => ''],
  ['a dot', () => '.'],
  ['the key id alone', () => keys.current.id],
  ['the key id and no body', () => `${keys.current.id}.`],
  ['an id without its last byte', () => newId().slice(0, -1)],
  ['an id with one more byte', () => `${newId()}A`],
  ['an id and a line feed', () => `${newId()}\n`],
  ['an id with padding', () => `${newId()}==`],
  ['the body of an id without its key', () => newId().slice(9)],
  ['an id of the form before the MAC', () => randomBytes(18).toString('base64url')],
  ['the accepted key id with a random body', () => `${keys.current.id}.${randomBytes(36).toString('base64url')}`],
  ['the id of another deployment', ofAnother],
  ['the body of another deployment under our key id', () => `${keys.current.id}${ofAnother().slice(8)}`],
])('%s does not pass', (_, make) => {
  expect(isIssuedWorkerId(make(), keys, NOW)).toBe(false)
})

test('during a rotation either key’s ids pass, and those of a dropped key do not', () => {
  const [old, next] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const before = parseDeploymentKeys(JSON.stringify({ current: old, accepted: [next] }))
  const during = parseDeploymentKeys(JSON.stringify({ current: next, accepted: [old] }))
  const after = parseDeploymentKeys(JSON.stringify({ current: next, accepted: [] }))
  const [oldId, newId] = [before, during].map((issuer) => newWorkerId(EXPIRES_AT, issuer, randomBytes))
  const passes = (id: string | undefined) => [before, during, after].map((at) => isIssuedWorkerId(id!, at, NOW))
  expect(passes(oldId)).toEqual([true, true, false])
  expect(passes(newId)).toEqual([true, true, true])
})

test('the hash of an id is SHA-256', () => {
  expect(workerIdHash('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
