/** Starts nginx with one server block. Knows nothing of what the block does. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { HttpClient } from './http-client.ts'
import { eventually } from './visits.ts'

/** Undefined where nginx is not installed. */
export const NGINX = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/local/bin/nginx'].find(existsSync)

export interface RunningNginx {
  readonly port: number
  stop(): Promise<void>
}

/** `http`: directives of the http block; `server`: of its server block. */
export async function startNginx({ http = '', server }: { http?: string; server: string }): Promise<RunningNginx> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-nginx-'))
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  )
  await writeFile(
    file,
    `daemon off; worker_processes 1; pid ${folder}/pid; error_log stderr crit; events { worker_connections 64; }
http { access_log off; ${temporary.join(' ')} ${http}
server { listen 127.0.0.1:${port}; ${server} } }\n`,
  )
  const nginx: ChildProcess = spawn(NGINX!, ['-e', 'stderr', '-c', file, '-p', folder], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const exited = once(nginx, 'exit')
  await eventually('nginx listens', () =>
    HttpClient.open(port).then(
      (client) => {
        client.close()
        return true
      },
      () => false,
    ),
  )
  return {
    port,
    stop: async () => {
      if (nginx.exitCode === null) nginx.kill('SIGTERM')
      await exited
      await rm(folder, { recursive: true, force: true })
    },
  }
}
