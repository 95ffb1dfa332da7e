/** The fronts of the page, each a real program with the page's own configuration. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../support/free-port.ts'
import { commandPath, debianPackages } from '../install.ts'
import { untilListening } from '../listening.ts'
import { blocksOf, placed } from './page.ts'

export interface Place {
  /** Empty, this front's own. */
  readonly folder: string
  /** Of the certificate with its chain, of the key, and of both in one file. */
  readonly certificate: string
  readonly key: string
  readonly both: string
  /** Where Postern takes visitors. */
  readonly upstream: string
}

export interface RunningFront {
  /** By https. */
  readonly port: number
  /** By http, where visitors are sent to https. */
  readonly plainPort: number | undefined
  stop(): Promise<void>
}

export interface FrontProgram {
  readonly name: string
  /** Whether a request for a host below a tunnel's name comes to Postern. */
  readonly passesNested: boolean
  /** As a suite's `install`. */
  install(): Promise<string | undefined>
  start(place: Place): Promise<RunningFront>
}

/** What a program writes, for the message of a start that fails. */
async function running(command: string, args: readonly string[], ports: { https: number; http?: number }) {
  const program = spawn(commandPath(command)!, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const output of [program.stdout, program.stderr])
    output.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  try {
    await untilListening(ports.https, program)
  } catch (cause) {
    program.kill('SIGKILL')
    throw new Error(`${command} said:\n${said}`, { cause })
  }
  return { port: ports.https, plainPort: ports.http, stop: () => ended(program) }
}

async function ended(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return
  const exit = once(program, 'exit')
  program.kill('SIGTERM')
  const late = setTimeout(() => program.kill('SIGKILL'), 5000)
  await exit
  clearTimeout(late)
}

const LETSENCRYPT = '/etc/letsencrypt/live/tunnel.example.com'

const nginx: FrontProgram = {
  name: 'nginx',
  passesNested: true,
  install: () => debianPackages(['nginx'], ['nginx-light']),
  async start({ folder, certificate, key, upstream }) {
    const [https, http] = [await freePort(), await freePort()]
    const [block] = await blocksOf('nginx')
    const site = placed(block!, {
      'listen 443 ssl': `listen 127.0.0.1:${https} ssl`,
      'listen [::]:443 ssl http2;': '',
      'listen 80;': `listen 127.0.0.1:${http};`,
      'listen [::]:80;': '',
      [`${LETSENCRYPT}/fullchain.pem`]: certificate,
      [`${LETSENCRYPT}/privkey.pem`]: key,
      '127.0.0.1:8080': upstream,
    })
    const user = process.getuid?.() === 0 ? 'user root;' : ''
    await mkdir(join(folder, 'temp'))
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${join(folder, 'temp', kind)};`,
    )
    await writeFile(
      join(folder, 'nginx.conf'),
      `${user} daemon off; pid ${join(folder, 'pid')}; error_log stderr; events {}\nhttp { access_log off; ${temporary.join(' ')}\n${site}\n}\n`,
    )
    return running('nginx', ['-c', join(folder, 'nginx.conf'), '-e', 'stderr'], { https, http })
  },
}

const haproxy = (name: string, index: number, redirects: boolean): FrontProgram => ({
  name,
  passesNested: true,
  install: () => debianPackages(['haproxy'], ['haproxy']),
  async start({ folder, both, upstream }) {
    const [https, http] = [await freePort(), await freePort()]
    const block = (await blocksOf('haproxy'))[index]
    const file = join(folder, 'haproxy.cfg')
    await writeFile(
      file,
      placed(block!, {
        'bind :::443 v4v6': `bind 127.0.0.1:${https}`,
        ...(redirects && { 'bind :::80 v4v6': `bind 127.0.0.1:${http}` }),
        '/etc/haproxy/tunnel.example.com.pem': both,
        '127.0.0.1:8080': upstream,
      }),
    )
    return running('haproxy', ['-db', '-f', file], redirects ? { https, http } : { https })
  },
})

const caddy: FrontProgram = {
  name: 'Caddy',
  // Its wildcard is one label.
  passesNested: false,
  install: () => debianPackages(['caddy'], ['caddy']),
  async start({ folder, certificate, key, upstream }) {
    const [https, http] = [await freePort(), await freePort()]
    const [block] = await blocksOf('caddy')
    const site = placed(block!, {
      [`${LETSENCRYPT}/fullchain.pem`]: certificate,
      [`${LETSENCRYPT}/privkey.pem`]: key,
      '127.0.0.1:8080': upstream,
    })
    const file = join(folder, 'Caddyfile')
    // What a Caddy is given besides by a server that has the ports, and one Caddy.
    await writeFile(
      file,
      `{\n\tadmin off\n\thttps_port ${https}\n\thttp_port ${http}\n\tdefault_bind 127.0.0.1\n\tstorage file_system ${join(folder, 'storage')}\n}\n${site}`,
    )
    return running('caddy', ['run', '--config', file, '--adapter', 'caddyfile'], { https, http })
  },
}

export const FRONTS: readonly FrontProgram[] = [
  nginx,
  haproxy('HAProxy with a PROXY header', 0, true),
  haproxy('HAProxy with forwarded fields', 1, false),
  caddy,
]
