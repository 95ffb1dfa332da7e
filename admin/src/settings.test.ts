import { randomBytes } from 'node:crypto'
import { newToken } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { type CommonFlags, readSettings } from './settings.ts'

const [one, two, three, four, five] = [0, 1, 2, 3, 4].map(() => newToken('admin', randomBytes).reveal()) as [
  string,
  string,
  string,
  string,
  string,
]
const profile = (server: string, token: string): string => JSON.stringify({ version: 1, server, token })

async function read(sources: {
  flags?: CommonFlags
  environment?: Record<string, string>
  files?: Record<string, string>
  input?: string
}) {
  const { server, token } = await readSettings({
    flags: sources.flags ?? {},
    environment: sources.environment ?? {},
    profilePath: '/home/config.json',
    readFile: async (path) => {
      const text = sources.files?.[path]
      if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
      return text
    },
    readStandardInput: async () => sources.input ?? '',
  })
  return [server, token.reveal()]
}

const files = {
  tokens: `${one}\n`,
  '/home/config.json': profile('https://home.example', three),
  '/repo/.postern/admin.json': profile('http://localhost:8080', four),
  '/repo/.postern/profile.json': profile('http://localhost:8080', five),
}
const inCheckout = { TUNNEL_ADMIN_LOCAL_FOLDER: '/repo/.postern' }
const environment = { ...inCheckout, TUNNEL_ADMIN_SERVER: 'https://env.example', TUNNEL_ADMIN_TOKEN: two }

describe('where server and token come from', () => {
  test('flags, then variables, then the person’s profile', async () => {
    const flags = { server: 'https://flag.example', tokenFile: 'tokens' }
    expect(await read({ flags, environment, files })).toEqual(['https://flag.example', one])
    expect(await read({ environment, files })).toEqual(['https://env.example', two])
    expect(await read({ environment: inCheckout, files })).toEqual(['https://home.example', three])
  })

  test('in a checkout, at last, what its local system has: the administrator’s before the agent’s', async () => {
    const { '/home/config.json': _, ...local } = files
    expect(await read({ environment: inCheckout, files: local })).toEqual(['http://localhost:8080', four])
    const { '/repo/.postern/admin.json': __, ...agent } = local
    expect(await read({ environment: inCheckout, files: agent })).toEqual(['http://localhost:8080', five])
    await expect(read({ files: local })).rejects.toMatchObject({ code: 'config-invalid', exit: 2 })
  })

  test('TUNNEL_ADMIN_CONFIG names the one profile that counts, and it must be there', async () => {
    const chosen = { ...inCheckout, TUNNEL_ADMIN_CONFIG: '/repo/.postern/admin.json' }
    expect(await read({ environment: chosen, files })).toEqual(['http://localhost:8080', four])
    await expect(read({ environment: { TUNNEL_ADMIN_CONFIG: '/nowhere' }, files })).rejects.toMatchObject({
      code: 'config-invalid',
    })
  })

  test('standard input, for a token file called -', async () => {
    const flags = { server: 'x.example', tokenFile: '-' }
    expect(await read({ flags, input: `${one}\n` })).toEqual(['https://x.example', one])
  })

  test('a broken profile hinders nobody who names server and token', async () => {
    const broken = { '/home/config.json': 'what?' }
    expect(await read({ environment, files: broken })).toEqual(['https://env.example', two])
    await expect(read({ files: broken })).rejects.toThrow(/config\.json is not JSON/)
  })
})

describe('the token of a profile', () => {
  test('is never sent to another server, wherever that one is named', async () => {
    for (const named of [
      { flags: { server: 'https://elsewhere.example' } },
      { environment: { TUNNEL_ADMIN_SERVER: 'https://elsewhere.example' } },
    ])
      await expect(read({ ...named, files })).rejects.toMatchObject({ code: 'token-missing', exit: 3 })
  })

  test('is found by its server, whichever profile has it', async () => {
    const flags = { server: 'http://localhost:8080' }
    expect(await read({ flags, environment: inCheckout, files })).toEqual(['http://localhost:8080', four])
  })
})

test('a server that would read the token in clear is refused, also from a profile', async () => {
  const clear = { '/home/config.json': profile('http://example.com', one) }
  await expect(read({ files: clear })).rejects.toThrow(/in clear/)
  await expect(read({ flags: { server: 'http://10.0.0.1' }, environment, files })).rejects.toThrow(/in clear/)
})

test('a mistyped token is found before anybody is asked', async () => {
  const mistyped = one.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x'))
  await expect(read({ environment: { ...environment, TUNNEL_ADMIN_TOKEN: mistyped } })).rejects.toMatchObject({
    code: 'token-malformed',
    exit: 3,
  })
})
