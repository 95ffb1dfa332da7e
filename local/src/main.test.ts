import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FIRST_USERNAME } from './first-account.ts'

const MAIN = fileURLToPath(new URL('main.ts', import.meta.url))
/** Four processes compile their sources first. */
const SLOW = { timeout: 180_000 }

let folder: string
/** What the first test leaves for the second. */
let kept: { readonly profile: string; readonly url: string }
const started: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-local-'))
})

afterAll(async () => {
  for (const process of started.splice(0)) process.kill('SIGKILL')
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
})

/** `npm start`, as far as it is ours; port 0 unless told. */
function launch(...args: string[]): ChildProcess {
  const argv = ['--import', import.meta.resolve('tsx'), MAIN, '--data', folder, ...args]
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] })
  started.push(child)
  return child
}

/** Resolves with what it has printed once it serves. */
async function serving(child: ChildProcess): Promise<string> {
  let said = ''
  for await (const chunk of child.stdout!) {
    said += chunk
    if (said.includes('Ctrl+C')) return said
  }
  throw new Error(`it ended: ${said}${await text(child.stderr!)}`)
}

async function get(url: string): Promise<string> {
  const { host, port } = new URL(url)
  const request = http.get({ host: '127.0.0.1', port, headers: { host }, agent: false })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return text(response)
}

const urlIn = (said: string): string => /demo server\s+(\S+)/.exec(said)![1]!

/** The data plane's and the agent's process; a compiler's may be there too. */
async function partsOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,args='])
  const rows = stdout.split('\n').map((row) => row.trim().split(/\s+/))
  const parts = /data-plane\/src\/main\.ts|tunnel-agent\.js/
  return rows
    .filter(([, parent, ...args]) => Number(parent) === pid && parts.test(args.join(' ')))
    .map(([id]) => Number(id))
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Asks for the ticket of the name `mine`. */
async function post(port: number, headers: http.OutgoingHttpHeaders) {
  const body = JSON.stringify({ username: FIRST_USERNAME, subdomain: 'mine' })
  const request = http.request({
    ...{ host: '127.0.0.1', port, method: 'POST', agent: false },
    headers: { ...headers, 'content-type': 'application/json' },
  })
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return JSON.parse(await text(response))
}

/** Resolves when there is no such process; the test's own deadline is the limit. */
async function gone(pid: number): Promise<void> {
  while (true) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('serves the demo, lets nobody else into its data, and stops in order on Ctrl+C', SLOW, async () => {
  const first = launch('--port', '0')
  const said = await serving(first)
  const url = urlIn(said)
  expect(await get(url)).toContain('Your request came through the tunnel')
  const profile = await readFile(join(folder, 'profile.json'), 'utf8')
  expect((await stat(join(folder, 'profile.json'))).mode & 0o777).toBe(0o600)
  expect((await stat(join(folder, 'channel-secret.json'))).mode & 0o777).toBe(0o600)
  expect(said).not.toContain(JSON.parse(profile).token)
  const system = join(folder, 'system.json')
  expect((await stat(system)).mode & 0o777).toBe(0o600)
  expect(JSON.parse(await readFile(system, 'utf8'))).toMatchObject({ server: new URL(url).origin.replace('demo.', '') })

  const intruder = launch('--port', '0')
  const [complaint, [code]] = await Promise.all([text(intruder.stderr!), once(intruder, 'exit')])
  expect([code, complaint]).toEqual([2, expect.stringContaining('in use')])
  expect(await get(url)).toContain('came through the tunnel')

  const parts = await partsOf(first.pid!)
  expect(parts.length).toBe(2)
  first.kill('SIGINT')
  expect(await once(first, 'exit')).toEqual([0, null])
  await Promise.all(parts.map(gone))
  // Nobody administers a system that does not run.
  await expect(stat(system)).rejects.toMatchObject({ code: 'ENOENT' })
  kept = { profile, url }
})

test('finds its data again, and leaves no process behind when it is killed', SLOW, async () => {
  const second = launch('--port', new URL(kept.url).port)
  expect(urlIn(await serving(second))).toBe(kept.url)
  expect(await readFile(join(folder, 'profile.json'), 'utf8')).toBe(kept.profile)
  expect(await get(kept.url)).toContain('Your request came through the tunnel')
  const orphans = await partsOf(second.pid!)
  expect(orphans.length).toBe(2)
  second.kill('SIGKILL')
  await Promise.all(orphans.map(gone))
})

test(
  'behind a TLS front it serves a base domain without a demo, and takes a caller’s address from the front',
  SLOW,
  async () => {
    const front = ['--listen', '127.0.0.1', '--base', 'tunnel.example.com', '--trusted-proxy', '127.0.0.0/8']
    const port = await freePort()
    const child = launch('--port', String(port), ...front, '--channel-port', '0')
    const said = await serving(child)
    expect(said).toContain('https://tunnel.example.com')
    const parts = await partsOf(child.pid!)
    expect(parts.length).toBe(1)
    const { server, token } = JSON.parse(await readFile(join(folder, 'profile.json'), 'utf8'))
    expect(server).toBe('https://tunnel.example.com')
    const ticket = await post(port, {
      host: 'tunnel.example.com',
      authorization: `Bearer ${token}`,
      'x-forwarded-for': '6.6.6.6, 203.0.113.7',
      'x-forwarded-proto': 'https',
    })
    expect(ticket).toMatchObject({
      host: 'tunnel.example.com',
      seenIp: '203.0.113.7',
      url: 'https://mine.tunnel.example.com',
    })
    const channel = net.connect(ticket.port, '127.0.0.1')
    await once(channel, 'connect')
    channel.destroy()
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  },
)

test('a base domain without its front is said clearly', SLOW, async () => {
  const child = launch('--port', '0', '--base', 'tunnel.example.com')
  const [complaint, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  expect([code, complaint]).toEqual([2, expect.stringContaining('--trusted-proxy')])
})

test('a port that is taken is said clearly, with the way out, and ends it with exit code 2', SLOW, async () => {
  const other = net.createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const child = launch('--port', String(port))
  const [said, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  other.close()
  expect(code).toBe(2)
  expect(said).toContain(`127.0.0.1:${port}`)
  expect(said).toContain('npm start -- --port')
})

test.each(['10', '0x2', '1e0', ''])('%j tasks are refused, with the option and its value', SLOW, async (tasks) => {
  const child = launch('--port', '0', '--tasks', tasks)
  const [complaint, [code]] = await Promise.all([text(child.stderr!), once(child, 'exit')])
  expect([code, complaint]).toEqual([2, expect.stringContaining(`--tasks ${tasks}`)])
})
