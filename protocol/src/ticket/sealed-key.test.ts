import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js'
import { expect, test } from 'vitest'
import { newDeploymentSecret, parseDeploymentKeys } from './deployment-keys.ts'
import { openSealedKey, sealKey } from './sealed-key.ts'

const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
const context = { idHash: createHash('sha256').update('id').digest('hex'), username: 'ann', subdomain: 'demo' }
const refused = expect.objectContaining({ code: 'ticket-refused' })

test('a key opens again for the ticket it was sealed for', () => {
  const key = randomBytes(32)
  expect(Buffer.from(openSealedKey(sealKey(key, context, keys, randomBytes), context, keys))).toEqual(key)
})

test('the same key never looks the same twice', () => {
  const key = randomBytes(32)
  expect(sealKey(key, context, keys, randomBytes)).not.toBe(sealKey(key, context, keys, randomBytes))
})

test('it is the construction that is written down: HKDF subkey, XChaCha20-Poly1305, length-prefixed context', () => {
  const master = Buffer.alloc(32, 7)
  const fixed = parseDeploymentKeys(JSON.stringify({ current: master.toString('hex'), accepted: [] }))
  const sealed = sealKey(Buffer.alloc(32, 1), context, fixed, (bytes) => Buffer.alloc(bytes, 9))
  const subkey = new Uint8Array(hkdfSync('sha256', master, '', 'postern seal v1', 32))
  const part = (text: string) => Buffer.concat([Buffer.of(0, text.length), Buffer.from(text)])
  const aad = Buffer.concat([part(context.idHash), part('ann'), part('demo')])
  const nonce = Buffer.alloc(24, 9)
  const expected = Buffer.concat([nonce, xchacha20poly1305(subkey, nonce, aad).encrypt(Buffer.alloc(32, 1))])
  expect(sealed).toBe(`${fixed.current.id}.${expected.toString('base64url')}`)
  expect(fixed.current.id).toBe(Buffer.from(hkdfSync('sha256', master, '', 'postern key id v1', 4)).toString('hex'))
})

test.each([
  ['another id', { ...context, idHash: 'f'.repeat(64) }],
  ['another account', { ...context, username: 'bob' }],
  ['another name', { ...context, subdomain: 'other' }],
  ['the same letters divided otherwise', { ...context, username: 'annd', subdomain: 'emo' }],
])('moved to %s it does not open', (_, moved) => {
  const sealed = sealKey(randomBytes(32), context, keys, randomBytes)
  expect(() => openSealedKey(sealed, moved, keys)).toThrowError(refused)
})

test('with any one bit changed it does not open', () => {
  const sealed = sealKey(randomBytes(32), context, keys, randomBytes)
  const [id = '', body = ''] = sealed.split('.')
  const bytes = Buffer.from(body, 'base64url')
  for (let i = 0; i < bytes.length; i += 1) {
    const changed = Buffer.from(bytes)
    changed[i] = (changed[i] ?? 0) ^ 1
    expect(() => openSealedKey(`${id}.${changed.toString('base64url')}`, context, keys)).toThrowError(refused)
  }
})

test.each(['', '.', 'x', 'no-dot', `${keys.current.id}.`, `${keys.current.id}.AAAA`])('%j does not open', (sealed) => {
  expect(() => openSealedKey(sealed, context, keys)).toThrowError(refused)
})

test('after a rotation the old key still opens what it sealed, until it is dropped', () => {
  const [old, next] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const before = parseDeploymentKeys(JSON.stringify({ current: old, accepted: [next] }))
  const during = parseDeploymentKeys(JSON.stringify({ current: next, accepted: [old] }))
  const after = parseDeploymentKeys(JSON.stringify({ current: next, accepted: [] }))
  const sealed = sealKey(Buffer.alloc(32, 3), context, before, randomBytes)
  expect(Buffer.from(openSealedKey(sealed, context, during))).toEqual(Buffer.alloc(32, 3))
  expect(() => openSealedKey(sealed, context, after)).toThrowError(refused)
  expect(
    Buffer.from(openSealedKey(sealKey(Buffer.alloc(32, 4), context, during, randomBytes), context, before)),
  ).toEqual(Buffer.alloc(32, 4))
})
