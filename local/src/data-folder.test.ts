import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openDataFolder } from './data-folder.ts'

test('a data folder that cannot be made is refused with its option and its path', async () => {
  const parent = await mkdtemp(join(tmpdir(), 'postern-data-'))
  const file = join(parent, 'file')
  await writeFile(file, '')
  try {
    for (const path of [file, join(file, 'below')])
      await expect(openDataFolder(path)).rejects.toMatchObject({
        code: 'config-invalid',
        exit: 2,
        detail: expect.stringContaining(`--data ${path}: `),
      })
  } finally {
    await rm(parent, { recursive: true })
  }
})
