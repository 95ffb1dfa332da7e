/** The throttle of the local control plane: each route has a token bucket, as in API Gateway. */
import { callRateOf, OPERATIONS, type Operation, type OperationId } from '@postern/protocol/api'
import { RateBucket } from '@postern/protocol/channel'
import type { FetchHandler } from './control-server.ts'

/**
 * Calls beyond a route's rate are answered 429. Unknown paths have no bucket: API Gateway does not pass them on, and here they cost nothing.
 * @param now milliseconds of a monotonic clock
 */
export function throttled(handler: FetchHandler, now: () => number): FetchHandler {
  const routes = (Object.entries(OPERATIONS) as [OperationId, Operation][]).map(([id, { method, path }]) => {
    const { perSecond, atOnce } = callRateOf(id)
    return {
      method,
      path: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`),
      bucket: new RateBucket(perSecond, atOnce, now),
    }
  })
  return (request, sourceIp) => {
    const { pathname } = new URL(request.url)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const route = routes.find((each) => each.method === method && each.path.test(pathname))
    return route === undefined || route.bucket.take() ? handler(request, sourceIp) : tooMany()
  }
}

/** API Gateway's own answer. It has no Retry-After. */
export const tooMany = (): Response => Response.json({ message: 'Too Many Requests' }, { status: 429 })
