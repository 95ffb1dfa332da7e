import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { newToken } from '@postern/protocol/ticket'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { prepareProfile } from './profile-file.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-profile-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const profile = { server: 'https://example.com', token: newToken('admin', randomBytes) }

test('a profile can be read by its owner alone, in a folder that nobody else may open, and replaces what was there', async () => {
  const path = join(folder, 'new', 'folder', 'config.json')
  const first = await prepareProfile(path)
  await first.keep(profile)
  await first.discard()
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(dirname(path))).mode & 0o777).toBe(0o700)
  const again = await prepareProfile(path)
  await again.keep({ ...profile, server: 'https://other.example' })
  expect(JSON.parse(await readFile(path, 'utf8'))).toMatchObject({ version: 1, server: 'https://other.example' })
  expect(await readdir(dirname(path))).toEqual(['config.json'])
})

test('preparations that are taken back leave what was there, and nothing else', async () => {
  const path = join(folder, 'kept.json')
  await writeFile(path, 'before')
  const file = await prepareProfile(path)
  await file.discard()
  await file.discard()
  expect(await readFile(path, 'utf8')).toBe('before')
  expect((await readdir(folder)).filter((name) => name.startsWith('kept'))).toEqual(['kept.json'])
})

test('a place that cannot be written is known before there is a token', async () => {
  await writeFile(join(folder, 'a-file'), '')
  await expect(prepareProfile(join(folder, 'a-file', 'config.json'))).rejects.toMatchObject({ code: 'config-invalid' })
})
