/** git itself, by smart HTTP: what is pushed, cloned and fetched is the same repository, whichever way it went. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'vitest'
import { size } from '../support/full-size.ts'
import { runCommand, tryCommand } from '../support/run-command.ts'
import { Checks } from './checks.ts'
import { startGitServer } from './git/server.ts'
import { debianPackages } from './install.ts'
import { sameThroughTunnel } from './same-through-tunnel.ts'
import type { Suite } from './suite.ts'

const MIB = 1024 * 1024
/** One file that does not compress; the rest of a repository is many small ones. */
const LARGE_FILE_BYTES = size(16, 64) * MIB
const SMALL_FILES = 300
const DEADLINE_MS = 120_000

const git: Suite = {
  name: 'git',
  checks: 10,
  install: () => debianPackages(['git', 'git-http-backend'], ['git']),
  async run(way, folder) {
    const checks = new Checks()
    const served = join(folder, 'served')
    const env = { ...process.env, ...(await quietGit(folder)) }
    const run = async (cwd: string, ...args: string[]): Promise<string> =>
      (await runCommand('git', args, { cwd, env, deadlineMs: DEADLINE_MS })).stdout.trim()

    await mkdir(served)
    await run(served, 'init', '-q', '--bare', '-b', 'main', 'project.git')
    await run(join(served, 'project.git'), 'config', 'http.receivepack', 'true')
    const server = await startGitServer(served)
    try {
      const remote = `${await way.reach(server.port)}/project.git`
      const author = join(folder, 'author')
      await run(folder, 'init', '-q', '-b', 'main', author)
      await run(author, 'remote', 'add', 'origin', remote)
      await fill(author)
      await run(author, 'add', '.')
      await run(author, 'commit', '-q', '-m', 'everything')
      await run(author, 'tag', '-a', 'v1', '-m', 'the first')
      const first = await run(author, 'rev-parse', 'HEAD')

      await checks.that(`a push of ${LARGE_FILE_BYTES / MIB} MiB, in chunks`, async () => {
        await run(author, 'push', '-q', 'origin', 'main', 'v1')
        return (await run(join(served, 'project.git'), 'rev-parse', 'main')) === first
      })
      for (const version of ['0', '2']) {
        const clone = join(folder, `clone-${version}`)
        await checks.that(`a clone by protocol ${version} is the same repository`, async () => {
          await run(folder, '-c', `protocol.version=${version}`, 'clone', '-q', remote, clone)
          await run(clone, 'fsck', '--full', '--strict')
          return (await fingerprint(run, clone)) === (await fingerprint(run, author))
        })
      }
      await checks.that('a clone of one commit alone', async () => {
        await run(folder, 'clone', '-q', '--depth', '1', remote, join(folder, 'shallow'))
        return (await run(join(folder, 'shallow'), 'rev-parse', 'HEAD')) === first
      })
      await checks.that('a clone without the large file, which comes when it is asked for', async () => {
        const partial = join(folder, 'partial')
        await run(join(served, 'project.git'), 'config', 'uploadpack.allowFilter', 'true')
        await run(folder, 'clone', '-q', '--filter=blob:limit=1m', '--no-checkout', remote, partial)
        await run(partial, 'checkout', '-q', 'main')
        return sameBytes(join(partial, 'large.bin'), join(author, 'large.bin'))
      })

      await writeFile(join(author, 'later.txt'), 'later\n')
      await run(author, 'add', '.')
      await run(author, 'commit', '-q', '-m', 'later')
      const second = await run(author, 'rev-parse', 'HEAD')
      await checks.that('a small push, framed by its length', async () => {
        await run(author, 'push', '-q', 'origin', 'main')
        return (await run(join(served, 'project.git'), 'rev-parse', 'main')) === second
      })
      await checks.that('a fetch of what came since', async () => {
        await run(join(folder, 'clone-2'), 'fetch', '-q')
        return (await run(join(folder, 'clone-2'), 'rev-parse', 'origin/main')) === second
      })
      await checks.that('a push that is not a fast-forward is refused, and changes nothing', async () => {
        const { code, output } = await tryCommand('git', ['push', '-q', 'origin', `${first}~0:main`], {
          cwd: author,
          env,
          deadlineMs: DEADLINE_MS,
        })
        return (
          code === 1 &&
          output.includes('rejected') &&
          (await run(join(served, 'project.git'), 'rev-parse', 'main')) === second
        )
      })
      await checks.that('a branch is made and removed', async () => {
        await run(author, 'push', '-q', 'origin', 'main:refs/heads/other')
        const made = await run(author, 'ls-remote', '--heads', 'origin')
        await run(author, 'push', '-q', 'origin', ':other')
        const left = await run(author, 'ls-remote', '--heads', 'origin')
        return made.includes('refs/heads/other') && left === `${second}\trefs/heads/main`
      })
      await checks.that('a repository that is not there is not found', async () => {
        const missing = remote.replace('project', 'missing')
        const { code, output } = await tryCommand('git', ['ls-remote', missing], {
          cwd: folder,
          env,
          deadlineMs: DEADLINE_MS,
        })
        return code === 128 && output.includes('not found')
      })
      return checks.outcomes
    } finally {
      await server.stop()
    }
  },
}

/** A git that asks nobody, knows nobody's settings, and speaks to no proxy. */
async function quietGit(folder: string): Promise<Record<string, string>> {
  const config = join(folder, 'gitconfig')
  await writeFile(
    config,
    '[user]\nname = Somebody\nemail = somebody@example.com\n[gc]\nauto = 0\n[core]\ncompression = 1\n',
  )
  return {
    GIT_CONFIG_GLOBAL: config,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    LC_ALL: 'C',
    no_proxy: '*',
    NO_PROXY: '*',
  }
}

async function fill(folder: string): Promise<void> {
  await writeFile(join(folder, 'large.bin'), randomBytes(LARGE_FILE_BYTES))
  await mkdir(join(folder, 'many'))
  for (let index = 0; index < SMALL_FILES; index++) {
    await writeFile(join(folder, 'many', `${index}.txt`), `${index}\n${randomBytes(200).toString('hex')}\n`)
  }
}

/** Every object that main and the tags reach, and every file as it lies there. */
async function fingerprint(run: (cwd: string, ...args: string[]) => Promise<string>, folder: string): Promise<string> {
  const objects = await run(folder, 'rev-list', '--objects', 'main', '--tags')
  const large = createHash('sha256')
    .update(await readFile(join(folder, 'large.bin')))
    .digest('hex')
  return [objects.split('\n').sort().join('\n'), await run(folder, 'status', '--porcelain'), large].join('\n')
}

const sameBytes = async (one: string, other: string): Promise<boolean> =>
  (await readFile(one)).equals(await readFile(other))

test('git: what is pushed, cloned and fetched through the tunnel is the same repository', (context) =>
  sameThroughTunnel(git, context))
