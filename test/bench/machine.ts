/** On what, and of what, a measurement was taken. Knows nothing of its results. */
import { execFile } from 'node:child_process'
import { cpus, loadavg, release, totalmem, type } from 'node:os'
import { promisify } from 'node:util'

/**
 * Facts by name. Taken before the load begins, so that the load average is what others were doing.
 * @param root the checkout that is measured
 */
export async function describeMachine(root: string): Promise<ReadonlyMap<string, string>> {
  const [cpu] = cpus()
  const busy = loadavg()[0]!
  return new Map([
    ['date', new Date().toISOString().slice(0, 10)],
    ['Postern', await describeCommit(root)],
    ['machine', `${cpus().length} × ${cpu?.model ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`],
    ['system', `${type()} ${release()}, load average before the run ${busy.toFixed(2)}`],
    ['Node', process.versions.node],
  ])
}

async function describeCommit(root: string): Promise<string> {
  const git = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)('git', args, { cwd: root })).stdout.trim()
  const commit = await git('rev-parse', '--short=10', 'HEAD')
  const changed = await git('status', '--porcelain', '--untracked-files=no', '--', 'protocol', 'data-plane', 'agent')
  return changed === '' ? commit : `${commit} and changes not committed`
}
