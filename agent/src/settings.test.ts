import { randomBytes } from 'node:crypto'
import { newToken } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { readSettings, type SettingsSources } from './settings.ts'

const [one, two, three, four] = [0, 1, 2, 3].map(() => newToken('user', randomBytes).reveal()) as [
  string,
  string,
  string,
  string,
]
const profile = JSON.stringify({ version: 1, server: 'http://localhost:8080', token: three })

function read(sources: {
  flags?: SettingsSources['flags']
  environment?: Record<string, string>
  files?: Record<string, string>
  input?: string
}) {
  return readSettings({
    flags: sources.flags ?? {},
    environment: sources.environment ?? {},
    readFile: async (path) => {
      const text = sources.files?.[path]
      if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
      return text
    },
    readStandardInput: async () => sources.input ?? '',
  })
}

describe('settings', () => {
  const files = { tokens: one, profile }
  const environment = {
    TUNNEL_AGENT_TOKEN: two,
    TUNNEL_AGENT_SERVER: 'https://env.example',
    TUNNEL_AGENT_LOCAL_PROFILE: 'profile',
  }

  test('a flag beats the environment, which beats the profile', async () => {
    const flags = { server: 'https://flag.example', tokenFile: 'tokens', subdomain: 'demo' }
    const byFlag = await read({ flags, environment, files })
    expect([byFlag.server, byFlag.token.reveal(), byFlag.subdomain]).toEqual(['https://flag.example', one, 'demo'])

    const byEnvironment = await read({ environment, files })
    expect([byEnvironment.server, byEnvironment.token.reveal()]).toEqual(['https://env.example', two])

    const byProfile = await read({ environment: { TUNNEL_AGENT_LOCAL_PROFILE: 'profile' }, files })
    expect([byProfile.server, byProfile.token.reveal()]).toEqual(['http://localhost:8080', three])
    expect(byProfile.subdomain).toBeUndefined()
  })

  test('the token of a profile is never sent to another server', async () => {
    const attempt = read({
      flags: { server: 'https://elsewhere.example' },
      environment: { TUNNEL_AGENT_LOCAL_PROFILE: 'profile' },
      files,
    })
    await expect(attempt).rejects.toMatchObject({ code: 'token-missing', exit: 3 })
  })

  test('the token can come from standard input, with its line end', async () => {
    const { token } = await read({ flags: { tokenFile: '-', server: 'x.example' }, input: `${four}\n` })
    expect(token.reveal()).toBe(four)
  })

  test('a file named by a person must exist; the profile of a checkout need not', async () => {
    const wanted = { server: 'x.example', tokenFile: 'nowhere' }
    await expect(read({ flags: wanted })).rejects.toMatchObject({ code: 'config-invalid' })
    await expect(read({ environment: { TUNNEL_AGENT_CONFIG: 'nowhere' } })).rejects.toMatchObject({
      code: 'config-invalid',
    })
    await expect(read({ environment: { TUNNEL_AGENT_LOCAL_PROFILE: 'nowhere' } })).rejects.toThrow(/No server/)
  })

  test.each([
    ['not JSON', `{"token": "${one}`],
    ['an unknown key', JSON.stringify({ version: 1, server: 'x', token: one, tokn: 1 })],
    ['another version', JSON.stringify({ version: 2, server: 'x', token: one })],
  ])('a profile with %s is refused, and the error does not show its token', async (_, text) => {
    const failure = await read({ environment: { TUNNEL_AGENT_CONFIG: 'p' }, files: { p: text } }).catch(
      (error) => error,
    )
    expect(failure).toMatchObject({ code: 'config-invalid' })
    expect(`${failure.message}${failure.cause ?? ''}`).not.toContain(one)
  })

  describe('for visitors', () => {
    const reach = { server: 'x.example' }
    const visitorsOf = async (flags: SettingsSources['flags'], more: Record<string, string> = {}) =>
      (await read({ flags: { ...reach, ...flags }, environment, files: { ...files, ...more } })).visitors

    test('names and passwords come from flags and from the lines of a file', async () => {
      const lines = { visitors: 'ann:one\r\n\nbob:two: \n' }
      expect((await visitorsOf({ basicAuthFile: 'visitors' }, lines)).basicAuth).toEqual(['ann:one', 'bob:two: '])
      expect((await visitorsOf({ basicAuthFile: 'visitors', basicAuth: ['eve:x'] }, lines)).basicAuth).toHaveLength(3)
      expect((await visitorsOf({})).basicAuth).toBeUndefined()
      await expect(visitorsOf({ basicAuthFile: 'nowhere' })).rejects.toMatchObject({ code: 'config-invalid' })
    })

    test('a file without a line asks for a password that nobody has, not for none', async () => {
      expect((await visitorsOf({ basicAuthFile: 'empty' }, { empty: '\n' })).basicAuth).toEqual([])
    })

    test('a field is a name, a colon and a value, which may hold colons', async () => {
      const { requestHeaders, responseHeaders } = await visitorsOf({
        requestHeaderAdd: ['X-A: b: c', 'X-Empty:'],
        responseHeaderRemove: ['Server'],
      })
      expect(requestHeaders).toEqual({
        add: [
          ['X-A', 'b: c'],
          ['X-Empty', ''],
        ],
        remove: undefined,
      })
      expect(responseHeaders).toEqual({ add: undefined, remove: ['Server'] })
      await expect(visitorsOf({ requestHeaderAdd: ['X-A'] })).rejects.toMatchObject({ code: 'usage-invalid' })
    })
  })

  test('a mistyped token is found before anybody is asked', async () => {
    const mistyped = one.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x'))
    const attempt = read({ environment: { TUNNEL_AGENT_TOKEN: mistyped, TUNNEL_AGENT_SERVER: 'x.example' } })
    await expect(attempt).rejects.toMatchObject({ code: 'token-malformed', exit: 3 })
  })

  test('a bad subdomain is found before anybody is asked', async () => {
    await expect(read({ flags: { subdomain: 'No_Way' } })).rejects.toMatchObject({ code: 'subdomain-invalid', exit: 4 })
    await expect(read({ flags: { subdomain: 'www' } })).rejects.toMatchObject({ code: 'subdomain-reserved', exit: 4 })
  })
})
