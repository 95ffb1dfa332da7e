import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { keyById, newDeploymentSecret, parseDeploymentKeys } from './deployment-keys.ts'

test('a new secret can be read, and no two are alike', () => {
  const [a, b] = [newDeploymentSecret(randomBytes), newDeploymentSecret(randomBytes)]
  expect(parseDeploymentKeys(a).current.id).not.toBe(parseDeploymentKeys(b).current.id)
  expect(parseDeploymentKeys(a).current.id).toMatch(/^[0-9a-f]{8}$/)
})

test('no two purposes share a key, and none shows the key of the secret', () => {
  const secret = newDeploymentSecret(randomBytes)
  const { current } = parseDeploymentKeys(secret)
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const subkeys = (['seal', 'observation', 'hop', 'workerId', 'visitorCookie'] as const).map((purpose) =>
    hex(current.subkey(purpose)),
  )
  expect(new Set(subkeys).size).toBe(5)
  expect(subkeys.every((subkey) => subkey.length === 64 && !secret.includes(subkey))).toBe(true)
  const master = JSON.parse(secret).current
  expect(inspect(current, { showHidden: true, depth: 9 }) + JSON.stringify(current)).not.toContain(master)
})

test('a key is found by the id that it writes on things', () => {
  const [a, b] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const keys = parseDeploymentKeys(JSON.stringify({ current: a, accepted: [b] }))
  const [accepted] = keys.accepted
  expect(keyById(keys, keys.current.id)).toBe(keys.current)
  expect(keyById(keys, accepted?.id ?? '')).toBe(accepted)
  expect(keyById(keys, '00000000')).toBeUndefined()
})

const key = 'ab'.repeat(32)
test.each([
  '',
  'null',
  '{',
  `{"current":"${key}"}`,
  `{"current":"${key.slice(2)}","accepted":[]}`,
  `{"current":"${key}","accepted":["x"]}`,
  `{"current":"${key}","accepted":[],"more":1}`,
  `${key} is not JSON`,
])('%j is refused without being repeated', (text) => {
  try {
    parseDeploymentKeys(text)
    expect.unreachable()
  } catch (error) {
    expect(error).toMatchObject({ code: 'config-invalid' })
    expect(inspect(error)).not.toContain(key.slice(2))
  }
})
