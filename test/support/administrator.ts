/** An administrator of a running system, by the project's own command or by plain HTTP: the same errands, the API's own objects. Knows nothing of what they are for. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { request as startRequest } from 'node:http'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { AuditView, NewToken, SubdomainView, TunnelView, UserView } from '@postern/protocol/api'
import type { System } from './start-system.ts'

export interface Administrator {
  createUser(username: string): Promise<UserView>
  createToken(username: string): Promise<NewToken>
  reserve(name: string, username: string): Promise<SubdomainView>
  tunnels(): Promise<TunnelView[]>
  revoke(tokenId: string): Promise<void>
  /** @param day yyyy-mm-dd */
  audit(day: string): Promise<AuditView[]>
}

const COMMAND = fileURLToPath(new URL('../../admin/dist/main.js', import.meta.url))

/** Runs `tunnel-admin` with settings of the environment alone. @throws Error unless it exits 0 */
async function runCommand(
  system: System,
  args: readonly string[],
  settings: { readonly env: Readonly<Record<string, string>>; readonly newTokens?: number },
): Promise<string> {
  const nobody = { XDG_CONFIG_HOME: '/nonexistent', TUNNEL_ADMIN_CONFIG: '', AWS_EC2_METADATA_DISABLED: 'true' }
  const { newTokens = 0, env } = settings
  const ran = system.run({ name: 'tunnel-admin', args: [COMMAND, ...args], env: { ...nobody, ...env }, newTokens })
  const { code } = await ran.exited
  if (code !== 0) throw new Error(`tunnel-admin ${args.join(' ')} exited ${code}: ${ran.stderr}`)
  return ran.stdout
}

/** Makes the first administrator with the credentials of whoever deployed the table, and answers its token. */
export const bootstrap = async (system: System): Promise<string> =>
  (await runCommand(system, ['bootstrap'], { env: system.tableEnv, newTokens: 1 })).trim()

/** By `tunnel-admin`, a process for each errand. */
export function byCommand(system: System, token: string): Administrator {
  const env = { TUNNEL_ADMIN_SERVER: system.server, TUNNEL_ADMIN_TOKEN: token }
  const run = async (args: string, newTokens = 0) =>
    JSON.parse(await runCommand(system, [...args.split(' '), '--json'], { env, newTokens }))
  return {
    createUser: (username) => run(`user create ${username}`),
    createToken: (username) => run(`token create --user ${username}`, 1),
    reserve: (name, username) => run(`subdomain reserve ${name} --user ${username}`),
    tunnels: () => run('tunnel list'),
    revoke: (tokenId) => run(`token revoke ${tokenId}`),
    audit: (day) => run(`audit --day ${day}`),
  }
}

/** By HTTP as `docs/` shows it: by curl where the machine has it, otherwise by node:http. */
export function byHttp(system: System, token: string): Administrator {
  const call = async (method: string, path: string, body?: object) => {
    const asked = { method, url: `${system.server}${path}`, token, body: body && JSON.stringify(body) }
    const { status, answer } = await (HAS_CURL ? askByCurl : askByNode)(asked)
    if (status < 200 || status > 299) throw new Error(`${method} ${path} was answered ${status}: ${answer}`)
    return answer === '' ? undefined : JSON.parse(answer)
  }
  return {
    createUser: (username) => call('POST', '/v1/users', { username }),
    createToken: (username) => call('POST', '/v1/tokens', { username }),
    reserve: (name, username) => call('PUT', `/v1/subdomains/${name}`, { username }),
    tunnels: async () => (await call('GET', '/v1/tunnels')).items,
    revoke: (tokenId) => call('DELETE', `/v1/tokens/${tokenId}`),
    audit: async (day) => (await call('GET', `/v1/audit?day=${day}`)).items,
  }
}

interface Asked {
  readonly method: string
  readonly url: string
  readonly token: string
  readonly body: string | undefined
}
type Answered = Promise<{ readonly status: number; readonly answer: string }>

export const HAS_CURL = spawnSync('curl', ['--version']).status === 0

async function askByCurl({ method, url, token, body }: Asked): Answered {
  // The token by standard input: an argument shows in the process list.
  const content = body === undefined ? [] : ['--header', 'content-type: application/json', '--data', body]
  const args = ['--silent', '--show-error', '--noproxy', '*', '--request', method, ...content, '--config', '-']
  const curl = spawn('curl', [...args, '--write-out', '\n%{http_code}', url], { stdio: ['pipe', 'pipe', 'pipe'] })
  curl.stdin.end(`header = "authorization: Bearer ${token}"\n`)
  const [written, complaint, [code]] = await Promise.all([text(curl.stdout), text(curl.stderr), once(curl, 'close')])
  if (code !== 0) throw new Error(`curl exited ${code}: ${complaint}`)
  const end = written.lastIndexOf('\n')
  return { status: Number(written.slice(end + 1)), answer: written.slice(0, end) }
}

async function askByNode({ method, url, token, body }: Asked): Answered {
  const content = body === undefined ? {} : { 'content-type': 'application/json' }
  const request = startRequest(url, { method, agent: false, headers: { authorization: `Bearer ${token}`, ...content } })
  request.end(body)
  const [response] = await once(request, 'response')
  return { status: response.statusCode, answer: await text(response) }
}
