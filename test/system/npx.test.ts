/** The agent as npx starts it, from the tarball that would be published: no signal to npx leaves an agent behind. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { fieldOf } from '../support/http-message.ts'
import { runCommand } from '../support/run-command.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { ask } from '../support/visits.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DEADLINE_MS = 60_000
const SCRIPT = '/usr/bin/script'

let system: System
let origin: ScriptedOrigin
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-npx-'))
  await installPacked()
  system = await startSystem()
  origin = await ScriptedOrigin.start()
})

afterAll(async () => {
  await system?.stop()
  await origin?.stop()
  await rm(folder, { recursive: true, force: true })
})

/** The tarball in a folder of its own. The bundles are built already, and what it depends on is lent, so that no registry is asked. */
async function installPacked(): Promise<void> {
  const pack = ['pack', '-w', 'agent', '--ignore-scripts', '--json', '--pack-destination', folder]
  const { stdout } = await runCommand('npm', pack, { cwd: ROOT, deadlineMs: DEADLINE_MS })
  const [{ filename }] = JSON.parse(stdout)
  const modules = join(folder, 'node_modules')
  const agent = join(modules, '@postern/agent')
  await mkdir(agent, { recursive: true })
  await mkdir(join(modules, '.bin'))
  await runCommand('tar', ['-xzf', join(folder, filename), '-C', agent, '--strip-components=1'], {
    deadlineMs: DEADLINE_MS,
  })
  for (const name of ['commander', 'picocolors']) await symlink(join(ROOT, 'node_modules', name), join(modules, name))
  await symlink('../@postern/agent/bin/tunnel-agent.js', join(modules, '.bin/tunnel-agent'))
  await writeFile(join(folder, 'package.json'), '{"name":"somebody","private":true}\n')
}

interface Started {
  readonly npx: ChildProcess
  /** The agent's own. */
  readonly pid: number
  /** On standard error, so far. */
  said(): string
}

/** Resolves when the tunnel is open. @param program with its arguments, before those of the agent */
async function start(subdomain: string, program: readonly string[]): Promise<Started> {
  // Options of an npx or npm that runs this test would be this one's, too.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith('npm_') && name !== 'TUNNEL_AGENT_SERVER'),
  )
  const token = (await system.token('tester')).reveal()
  const [command, ...args] = program as [string, ...string[]]
  const npx = spawn(command, args, {
    cwd: folder,
    env: { ...env, TUNNEL_AGENT_TOKEN: token, npm_config_update_notifier: 'false' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  npx.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  onTestFinished(() => void npx.kill('SIGKILL'))
  let url: string | undefined
  for await (const line of createInterface(npx.stdout!)) {
    url = line
    break
  }
  if (url === undefined) throw new Error(`it ended before its tunnel was open: ${said}`)
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n')
  const node = /^\s*\d+ \S*node \S*\.bin\/tunnel-agent /
  const row = rows.find((text) => node.test(text) && text.includes(`--subdomain ${subdomain} `))
  const pid = Number.parseInt(row!, 10)
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL')
  })
  return { npx, pid, said: () => said }
}

const commandFor = (subdomain: string): string[] => [
  'tunnel-agent',
  'http',
  String(origin.port),
  '--server',
  system.server,
  '--subdomain',
  subdomain,
  '--hold',
  '0',
  '--retry',
]
const byNpx = (subdomain: string): Promise<Started> =>
  start(subdomain, ['npx', '--no-install', ...commandFor(subdomain)])

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The deadline is the test's own. */
async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
}

const visit = (subdomain: string) =>
  ask(system, `GET / HTTP/1.1\r\nHost: ${subdomain}.${system.base}\r\nConnection: close\r\n\r\n`)

test.each(['SIGTERM', 'SIGKILL'] as const)('after %s to npx no agent holds the name', async (signal) => {
  const subdomain = `npx-${signal.toLowerCase()}`
  const { npx, pid } = await byNpx(subdomain)
  npx.kill(signal)
  await once(npx, 'exit')
  await gone(pid)
  expect(fieldOf(await visit(subdomain), 'tunnel-error')).toBe('tunnel-offline')
})

test('SIGHUP is ignored without a terminal', async () => {
  const { npx, pid, said } = await byNpx('npx-hangup')
  process.kill(pid, 'SIGHUP')
  // What the agent does of a signal it has done before it serves the second visit.
  for (let count = 0; count < 2; count += 1) expect(fieldOf(await visit('npx-hangup'), 'tunnel-error')).toBeUndefined()
  expect(said()).not.toContain('closing')
  npx.kill('SIGTERM')
  await gone(pid)
})

test.skipIf(!existsSync(SCRIPT))('SIGHUP ends the agent with its terminal', async () => {
  const command = commandFor('npx-terminal').join(' ')
  const { npx, pid } = await start('npx-terminal', [SCRIPT, '-qefc', `exec node_modules/.bin/${command}`, '/dev/null'])
  npx.kill('SIGKILL')
  await gone(pid)
  expect(fieldOf(await visit('npx-terminal'), 'tunnel-error')).toBe('tunnel-offline')
})
