import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { newToken } from '../ticket/token.ts'
import { localSystemText, parseLocalSystem } from './local-system-file.ts'
import { parseProfile, profileText } from './profile.ts'

const token = newToken('user', randomBytes)

test('what one program writes another reads', () => {
  const profile = parseProfile(profileText({ server: 'https://example.com', token }), 'p')
  expect([profile.server, profile.token.reveal()]).toEqual(['https://example.com', token.reveal()])
  const system = { server: 'http://localhost:1', table: { endpoint: 'http://127.0.0.1:2', name: 'postern' } }
  expect(parseLocalSystem(localSystemText(system), 's')).toEqual(system)
})

test.each([
  ['no JSON', () => `{"token": "${token.reveal()}`],
  ['a token of a wrong type', () => JSON.stringify({ version: 1, server: 'x', token: [token.reveal()] })],
  ['a token in the wrong place', () => JSON.stringify({ version: token.reveal(), server: 'x', token: 'x' })],
  ['a key that nobody knows', () => JSON.stringify({ version: 1, server: 'x', token: 'x', [token.reveal()]: 1 })],
])('of a file with %s the error names the file, never the token', (_, text) => {
  const error = (() => {
    try {
      return parseProfile(text(), 'some/profile.json')
    } catch (failure) {
      return failure
    }
  })()
  expect(error).toMatchObject({ code: 'config-invalid', message: expect.stringContaining('some/profile.json') })
  expect(String((error as Error).message)).not.toContain(token.reveal())
})
