/** Answers health checks. Knows nothing of what makes a task ready. */
import { ProxiedHttpServer } from './proxied-http-server.ts'

/**
 * `/healthz`: the process is alive (also while it drains, or the service would kill it early).
 * `/readyz`: 503 as soon as it drains.
 * The balancer's checks of a target group with PROXY v2 begin with that header; the container's own do not.
 */
export function createOpsServer(state: { ready(): boolean }): ProxiedHttpServer {
  return new ProxiedHttpServer('optional', (request, response) => {
    const [status, text] = answer(request.url ?? '/', state.ready())
    response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`)
  })
}

function answer(path: string, ready: boolean): [status: number, text: string] {
  if (path === '/healthz') return [200, 'alive']
  if (path === '/readyz') return ready ? [200, 'ready'] : [503, 'draining']
  return [404, 'not found']
}
