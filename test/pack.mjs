/** Packs the agent, installs the tarball in an empty folder and uses both of its doors there. Needs the registry for the agent's own dependencies. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'postern-pack-'))

/** @param {string} command @param {string[]} args @param {string} cwd */
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim()

try {
  const [packed] = JSON.parse(run('npm', ['pack', '-w', 'agent', '--json', '--pack-destination', folder], root))
  const tarball = join(folder, packed.filename)
  writeFileSync(join(folder, 'package.json'), '{"name":"somebody","private":true,"type":"module"}\n')
  run('npm', ['install', '--no-fund', '--no-audit', '--prefer-offline', tarball], folder)

  const { version, dependencies } = JSON.parse(
    readFileSync(join(folder, 'node_modules/@postern/agent/package.json'), 'utf8'),
  )
  const ours = Object.keys(dependencies).filter((name) => name.startsWith('@postern/'))
  if (ours.length > 0) throw new Error(`the tarball depends on ${ours.join(', ')}, which nobody can install`)

  const said = run('npx', ['--no-install', 'tunnel-agent', '--version'], folder)
  if (!said.includes(version)) throw new Error(`tunnel-agent --version said ${JSON.stringify(said)}, not ${version}`)
  const door = run(
    process.execPath,
    ['-e', "import('@postern/agent').then((m) => console.log(typeof m.connect))"],
    folder,
  )
  if (door !== 'function') throw new Error(`the library's connect is ${door}`)

  console.log(
    `packed ${packed.filename}: ${packed.files.length} files, ${statSync(tarball).size} bytes; tunnel-agent --version: ${said}; connect(): there`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
