/** Answers health checks, and whoever collects metrics. Knows nothing of what makes a task ready, nor of what is counted. */
import type { ServerResponse } from 'node:http'
import type { MetricsPage } from './metrics-page.ts'
import { ProxiedHttpServer } from './proxied-http-server.ts'

/**
 * `/healthz`: the process is alive (also while it drains, or the service would kill it early).
 * `/readyz`: 503 as soon as it drains.
 * `/metrics`: for Prometheus.
 * The balancer's checks of a target group with PROXY v2 begin with that header; the container's own do not.
 */
export function createOpsServer(state: { ready(): boolean; readonly metrics: MetricsPage }): ProxiedHttpServer {
  return new ProxiedHttpServer('optional', (request, response) => {
    const path = request.url ?? '/'
    if (path === '/metrics') return void answerMetrics(state.metrics, response)
    const [status, text] = answer(path, state.ready())
    response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`)
  })
}

function answer(path: string, ready: boolean): [status: number, text: string] {
  if (path === '/healthz') return [200, 'alive']
  if (path === '/readyz') return ready ? [200, 'ready'] : [503, 'draining']
  return [404, 'not found']
}

async function answerMetrics({ contentType, text }: MetricsPage, response: ServerResponse): Promise<void> {
  try {
    const page = await text()
    response.writeHead(200, { 'content-type': contentType }).end(page)
  } catch (error) {
    response.writeHead(500, { 'content-type': 'text/plain' }).end(`the metrics cannot be read: ${String(error)}\n`)
  }
}
