import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { Secret } from './secret.ts'
import { checkToken, newToken, tokenHash } from './token.ts'

const FIXED = 'pst_u000102030405060708090A0B0C0D0E'

test('a token has its form, says its kind and passes its own check', () => {
  const user = newToken('user', randomBytes).reveal()
  const admin = newToken('admin', randomBytes).reveal()
  expect(user).toMatch(/^pst_u[0-9A-Za-z]{36}$/)
  expect(admin).toMatch(/^pst_a[0-9A-Za-z]{36}$/)
  expect(checkToken(user)).toBe('user')
  expect(checkToken(admin)).toBe('admin')
})

test('the check digits are CRC-32 in base 62, most significant first', () => {
  // CRC-32 (IEEE 802.3) of "pst_u" and 30 zeros, written by hand.
  const zeros = newToken('user', (bytes) => new Uint8Array(bytes)).reveal()
  let crc = 0xffffffff
  for (const byte of Buffer.from(`pst_u${'0'.repeat(30)}`)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  }
  let rest = (crc ^ 0xffffffff) >>> 0
  let digits = ''
  while (digits.length < 6) {
    digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'[rest % 62] + digits
    rest = Math.floor(rest / 62)
  }
  expect(zeros).toBe(`pst_u${'0'.repeat(30)}${digits}`)
})

test('every single wrong letter and every swap of neighbours is found offline', () => {
  const good = newToken('user', randomBytes).reveal()
  const wrong: string[] = []
  for (let i = 4; i < good.length; i += 1) {
    for (const letter of '0Aa9Zz') if (letter !== good[i]) wrong.push(good.slice(0, i) + letter + good.slice(i + 1))
    if (i + 1 < good.length && good[i] !== good[i + 1]) {
      wrong.push(good.slice(0, i) + good[i + 1] + good[i] + good.slice(i + 2))
    }
  }
  for (const text of wrong)
    expect(() => checkToken(text)).toThrowError(expect.objectContaining({ code: 'token-malformed' }))
})

test.each(['', 'pst_', FIXED, 'pst_x'.padEnd(41, '0'), 'ghp_0123', `${FIXED}-_-_-_`, 'x'.repeat(10_000)])(
  '%j is no token, and the fault does not repeat it',
  (text) => {
    try {
      checkToken(text)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'token-malformed' })
      if (text.length > 4) expect(String(error)).not.toContain(text)
    }
  },
)

test('bytes that would make some digits likelier than others are passed over', () => {
  let calls = 0
  const token = newToken('user', (bytes) => {
    calls += 1
    return new Uint8Array(bytes).fill(calls === 1 ? 255 : 61)
  })
  expect(token.reveal()).toContain(`pst_u${'z'.repeat(30)}`)
})

test('the hash is SHA-256 of the text', () => {
  expect(tokenHash(new Secret('abc'))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
