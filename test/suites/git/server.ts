/** A server of git repositories by smart HTTP: `git http-backend` behind CGI (RFC 3875). Knows nothing of git's own protocol. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { commandPath } from '../install.ts'

export interface GitServer {
  readonly port: number
  stop(): Promise<void>
}

/** Serves every repository of `folder`, on a free port of 127.0.0.1. */
export async function startGitServer(folder: string): Promise<GitServer> {
  const server = createServer((request, response) => answer(folder, request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function answer(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://localhost')
  const program = spawn(commandPath('git-http-backend')!, [], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      REQUEST_METHOD: request.method,
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: search.slice(1),
      REMOTE_ADDR: request.socket.remoteAddress,
      CONTENT_TYPE: request.headers['content-type'],
      // Without it the program reads to the end, which is what a body in chunks needs.
      CONTENT_LENGTH: request.headers['content-length'],
      HTTP_CONTENT_ENCODING: request.headers['content-encoding'],
      GIT_PROTOCOL: request.headers['git-protocol']?.toString(),
    },
  })
  // The program may answer without having read all.
  program.stdin.on('error', () => undefined)
  request.pipe(program.stdin)
  response.once('close', () => program.kill())

  let head = Buffer.alloc(0)
  const beforeBody = (bytes: Buffer): void => {
    head = Buffer.concat([head, bytes])
    const end = head.indexOf('\r\n\r\n')
    if (end < 0) return
    program.stdout.off('data', beforeBody)
    let status = 200
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name, value] = [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]
      if (name === 'Status') status = Number.parseInt(value, 10)
      else response.setHeader(name, value)
    }
    response.writeHead(status)
    response.write(head.subarray(end + 4))
    program.stdout.pipe(response)
  }
  program.stdout.on('data', beforeBody)
}
