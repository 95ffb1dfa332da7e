/** Fetches what a Debian source package is made of, with lists of its own, so that nothing of the system's changes. Knows nothing of what is in it. */
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { tryCommand } from '../support/run-command.ts'
import { aptGet, commandPath } from './install.ts'

/**
 * Unpacks what `name`'s authors published (without Debian's own changes) into `folder`, unless it is there already.
 * @returns what went wrong, or undefined
 */
export async function debianSource(name: string, folder: string): Promise<string | undefined> {
  if (existsSync(folder)) return undefined
  if (commandPath('apt-get') === undefined) return `the source of Debian's package ${name}, and there is no apt-get`
  const work = `${folder}.part`
  await rm(work, { recursive: true, force: true })
  await mkdir(join(work, 'lists', 'partial'), { recursive: true })

  const lists = await sourceLists()
  if (lists === '') await aptGet(['update', '-qq'])
  const file = join(work, 'sources.list')
  await writeFile(file, lists || (await sourceLists()))
  const options = [
    ...['-o', `Dir::Etc::SourceList=${file}`, '-o', 'Dir::Etc::SourceParts=/dev/null'],
    ...['-o', `Dir::State::Lists=${join(work, 'lists')}`, '-o', `Dir::Cache=${work}`],
  ]
  for (const args of [
    ['update', '-qq'],
    ['source', '-qq', '--download-only', '--tar-only', name],
  ]) {
    const said = await aptGet([...options, ...args], work)
    if (said.code !== 0)
      return `the source of Debian's package ${name}: \`apt-get ${args.join(' ')}\` said:\n${said.output}`
  }
  const archive = (await readdir(work)).find((entry) => /\.orig\.tar\.\w+$/.test(entry))
  if (archive === undefined) return `the source of Debian's package ${name} has no archive of its authors`
  const unpacked = join(work, 'unpacked')
  await mkdir(unpacked)
  const tar = await tryCommand('tar', ['xf', archive, '-C', unpacked, '--strip-components=1'], {
    cwd: work,
    deadlineMs: 60_000,
  })
  if (tar.code !== 0) return `${archive}: tar said:\n${tar.output}`
  await rename(unpacked, folder)
  await rm(work, { recursive: true })
  return undefined
}

/** Where this machine gets Debian's packages from, asked for sources. Empty as long as apt has no lists at all. */
async function sourceLists(): Promise<string> {
  const format = 'deb-src $(REPO_URI) $(CODENAME) $(COMPONENT)'
  const { stdout } = await tryCommand(
    'apt-get',
    ['indextargets', '--format', format, 'Label: Debian', 'Created-By: Packages', 'Component: main'],
    { deadlineMs: 30_000 },
  )
  const own = stdout.split('\n').filter((line) => /^deb-src \S+ \w+ main$/.test(line))
  return [...new Set(own)].join('\n') + (own.length > 0 ? '\n' : '')
}
