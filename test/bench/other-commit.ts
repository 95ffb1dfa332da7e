/** Another commit, checked out beside this tree and built with its own dependencies. Knows nothing of what is measured. */
import { execFileSync, type StdioOptions } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface OtherCommit {
  readonly root: string
  /** Abbreviated hash. */
  readonly hash: string
  /** Takes the worktree away. */
  remove(): Promise<void>
}

/** What a commit must have for another one's benchmark to run it. */
const STAND = 'test/bench/stand.ts'

/** What these commands say of their progress goes to standard error, where the benchmark's own does. */
const TOLD: StdioOptions = ['ignore', 2, 2]

/** @throws Error if there is no such commit, it cannot be built, or it is older than the benchmark */
export async function buildOtherCommit(root: string, commit: string): Promise<OtherCommit> {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  const hash = git('rev-parse', '--verify', '--short=10', `${commit}^{commit}`)
  const folder = await mkdtemp(join(tmpdir(), 'postern-bench-other-'))
  const tree = join(folder, hash)
  const remove = async (): Promise<void> => {
    execFileSync('git', ['worktree', 'remove', '--force', tree], { cwd: root })
    await rm(folder, { recursive: true, force: true })
  }
  git('worktree', 'add', '--quiet', '--detach', tree, hash)
  try {
    if (!existsSync(join(tree, STAND))) throw new Error(`${hash} has no ${STAND}: it is older than the benchmark`)
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: tree, stdio: TOLD })
    execFileSync(process.execPath, ['local/build.mjs', 'data-plane', 'agent'], { cwd: tree, stdio: TOLD })
    return { root: tree, hash, remove }
  } catch (error) {
    await remove()
    throw error
  }
}
