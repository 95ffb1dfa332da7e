import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDataFolder } from './data-folder.ts'

test('a data folder is made with all folders above it', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'postern-data-'))
  try {
    const path = join(parent, 'a', 'b')
    const { table } = await openDataFolder(path)
    expect([table.startsWith(path), (await openDataFolder(path)).table]).toEqual([true, table])
  } finally {
    await rm(parent, { recursive: true })
  }
})

test('a data folder that cannot be made is refused with its option and its path', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'postern-data-'))
  const file = join(parent, 'file')
  await writeFile(file, '')
  try {
    for (const path of [file, join(file, 'below'), '/proc/postern-data', '/proc/postern/data'])
      await expect(openDataFolder(path)).rejects.toMatchObject({
        code: 'config-invalid',
        exit: 2,
        detail: expect.stringContaining(`--data ${path}: `),
      })
  } finally {
    await rm(parent, { recursive: true })
  }
})
