/** nginx as the local server: it compresses nothing for requests with Via (gzip_proxied), so --no-via gives visitors what they get directly. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePort } from '../support/free-port.ts'
import { askOnce } from '../support/http-client.ts'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { type System, startSystem } from '../support/start-system.ts'
import { eventually } from '../support/visits.ts'

const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/local/bin/nginx'].find(existsSync)
const WHY = NGINX === undefined ? ' (left out: there is no nginx on this machine)' : ''

const configuration = (folder: string, port: number): string => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 64; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  gzip on;
  gzip_types text/plain;
  gzip_min_length 1;
  default_type text/plain;
  server { listen 127.0.0.1:${port}; return 200 '${'page '.repeat(200)}'; }
}
`

describe.skipIf(NGINX === undefined)(`nginx with gzip${WHY}`, () => {
  let system: System
  let folder: string
  let nginx: ChildProcess
  let port: number

  const encodingOf = async (to: number, host: string): Promise<string | undefined> => {
    const request = `GET / HTTP/1.1\r\nHost: ${host}\r\nAccept-Encoding: gzip\r\n\r\n`
    const answer = await askOnce(to, request)
    expect(statusOf(answer)).toBe(200)
    return fieldOf(answer, 'content-encoding')
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-nginx-'))
    port = await freePort()
    const file = join(folder, 'nginx.conf')
    await writeFile(file, configuration(folder, port))
    nginx = spawn(NGINX!, ['-e', 'stderr', '-c', file, '-p', folder], { stdio: ['ignore', 'ignore', 'inherit'] })
    await eventually('nginx answers', () =>
      encodingOf(port, 'any').then(
        () => true,
        () => false,
      ),
    )
    system = await startSystem()
    await system.startAgent({ subdomain: 'named', target: port })
    await system.startAgent({ subdomain: 'unnamed', target: port, args: ['--no-via'] })
  })

  afterAll(async () => {
    await system?.stop()
    if (nginx?.exitCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  test('compresses directly and with --no-via, and not for requests with Via', async () => {
    expect(await encodingOf(port, 'any')).toBe('gzip')
    expect(await encodingOf(system.publicPort, 'named.localhost')).toBeUndefined()
    expect(await encodingOf(system.publicPort, 'unnamed.localhost')).toBe('gzip')
  })
})
