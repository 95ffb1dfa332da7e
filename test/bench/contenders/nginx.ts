/** nginx as a plain reverse proxy: one hop, no encryption, one worker. The yardstick for each of our two processes. */
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as after } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from '../../support/free-port.ts'
import type { Contender, Subject } from '../contender.ts'
import { installed } from '../installed.ts'

const HOST = 'nginx.localhost'
const START_MS = 5000

/** nginx would outlive us: a shell ends it as soon as our end of its standard input is closed, however that came. */
const GUARD = '"$0" -c "$1" -p "$2" & echo $!; cat; kill $!; wait'

/**
 * Both ends keep connections, as our own do; bodies stream both ways instead of going through files; the request carries the
 * fields that a data plane sets too. One worker, because a data plane is one process.
 */
const configuration = (folder: string, port: number, originPort: number): string => `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 0;
  keepalive_requests 100000000;
  upstream origin {
    server 127.0.0.1:${originPort};
    keepalive 256;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Request-Id $request_id;
    }
  }
}
`

export const nginx: Contender = {
  name: 'nginx',
  settings:
    'plain reverse proxy, one worker, no encryption; keep-alive to both sides; access log off; bodies streamed (proxy_request_buffering off, no temporary files); sets Host, X-Forwarded-For/-Proto/-Host and X-Request-Id',
  find: async () => {
    const path = await installed('nginx')
    if (path === undefined) return { kind: 'missing', remedy: 'apt-get install nginx-light' }
    const { stderr } = await promisify(execFile)(path, ['-v'])
    return { kind: 'found', version: stderr.trim().replace('nginx version: ', '') }
  },
  start: async (origin) => {
    const path = await installed('nginx')
    if (path === undefined) throw new Error('nginx is gone')
    const folder = await mkdtemp(join(tmpdir(), 'postern-bench-nginx-'))
    const port = await freePort()
    const file = join(folder, 'nginx.conf')
    await writeFile(file, configuration(folder, port, origin.port))
    const guard = spawn('sh', ['-c', GUARD, path, file, folder], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = new Promise<void>((resolve) => guard.on('exit', () => resolve()))
    const stop = async (): Promise<void> => {
      guard.stdin.end()
      await ended
      await rm(folder, { recursive: true, force: true })
    }
    try {
      const master = Number(await firstLine(guard.stdout))
      await answers(port)
      const pids = [master, ...(await childrenOf(master))]
      return { target: { port, host: HOST }, processes: new Map([['nginx', pids]]), stop } satisfies Subject
    } catch (error) {
      await stop()
      throw error
    }
  },
}

async function firstLine(stream: Readable): Promise<string> {
  for await (const line of createInterface({ input: stream })) return line
  throw new Error('the shell that starts nginx said nothing')
}

async function answers(port: number): Promise<void> {
  const deadline = Date.now() + START_MS
  while (!(await connects(port))) {
    if (Date.now() > deadline) throw new Error(`nginx does not listen after ${START_MS} ms`)
    await after(20)
  }
}

const connects = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })

async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.trim().split(' ').filter(Boolean).map(Number)
}
