/** Unpacks a Debian package in a folder of its own, without installing it: no service of it is started, and root is not needed. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tryCommand } from '../support/run-command.ts'
import { aptGet, commandPath } from './install.ts'

const CACHE = fileURLToPath(new URL('../../node_modules/.cache/postern', import.meta.url))

/** Where a file of an unpacked package lies, by its path on a Debian system. */
export const unpackedPath = (name: string, path: string): string => join(CACHE, `debian-${name}`, path)

/**
 * Fetches and unpacks package `name`, unless that is done.
 * @returns what went wrong, or undefined
 */
export async function unpackDebianPackage(name: string): Promise<string | undefined> {
  const folder = unpackedPath(name, '')
  if (existsSync(folder)) return undefined
  if (commandPath('apt-get') === undefined) return `Debian's package ${name}, and there is no apt-get`
  const work = `${folder}.part`
  await rm(work, { recursive: true, force: true })
  await mkdir(work, { recursive: true })
  let fetched = await aptGet(['download', '-qq', name], work)
  if (fetched.code !== 0 && process.getuid?.() === 0) {
    // A machine that is new has no list of packages yet.
    await aptGet(['update', '-qq'])
    fetched = await aptGet(['download', '-qq', name], work)
  }
  if (fetched.code !== 0) return `Debian's package ${name}: \`apt-get download ${name}\` said:\n${fetched.output}`
  const archive = (await readdir(work)).find((entry) => entry.endsWith('.deb'))
  if (archive === undefined) return `Debian's package ${name}: apt-get has fetched no .deb`
  const unpacked = join(work, 'unpacked')
  const { code, output } = await tryCommand('dpkg-deb', ['--extract', archive, unpacked], {
    cwd: work,
    deadlineMs: 60_000,
  })
  if (code !== 0) return `${archive}: dpkg-deb said:\n${output}`
  await rename(unpacked, folder)
  await rm(work, { recursive: true })
  return undefined
}
