/** Answers the balancer's health checks. Knows nothing of what makes a task ready. */
import { createServer, type Server } from 'node:http'

/**
 * `/healthz`: the process is alive (also while it drains, or the service would kill it early).
 * `/readyz`: 503 as soon as it drains.
 */
export function createOpsServer(state: { ready(): boolean }): Server {
  const server = createServer((request, response) => {
    const [status, text] = answer(request.url ?? '/', state.ready())
    response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`)
  })
  server.headersTimeout = 5000
  return server
}

function answer(path: string, ready: boolean): [status: number, text: string] {
  if (path === '/healthz') return [200, 'alive']
  if (path === '/readyz') return ready ? [200, 'ready'] : [503, 'draining']
  return [404, 'not found']
}
