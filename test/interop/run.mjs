/** Runs the interop experiments, with Go's yamux as a further peer where Go is on the path; says what is missing where it is not. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const root = join(here, '../..')
const folder = mkdtempSync(join(tmpdir(), 'postern-interop-'))

/** Path of the built peer, or why there is none. */
function buildGoPeer() {
  const version = spawnSync('go', ['version'], { encoding: 'utf8' })
  if (version.error) return { missing: 'the command `go` (1.21 or later) is not on the PATH' }
  const program = join(folder, 'peer')
  const build = spawnSync('go', ['build', '-o', program, '.'], { cwd: join(here, 'go'), encoding: 'utf8' })
  if (build.status !== 0) {
    return {
      missing: `\`go build\` in test/interop/go failed (github.com/hashicorp/yamux comes from the module proxy):\n${build.stderr}`,
    }
  }
  return { program, version: version.stdout.trim() }
}

const peer = buildGoPeer()
console.log(
  peer.program ? `interop: with hashicorp/yamux, ${peer.version}` : `interop: WITHOUT hashicorp/yamux: ${peer.missing}`,
)
const vitest = spawnSync('npx', ['vitest', 'run', '--project', 'interop', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, ...(peer.program ? { POSTERN_GO_PEER: peer.program } : {}) },
})
rmSync(folder, { recursive: true, force: true })
process.exitCode = vitest.status ?? 1
