/** The parameters in the path of a request. Knows nothing of what they may be: that is each call's business. */
import type { Operation } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import type { Context } from 'hono'

const PARAMETER = /\{(\w+)\}/g

/** As the router writes a path: `/v1/users/:username`. */
export const routePattern = ({ path }: Pick<Operation, 'path'>): string => path.replaceAll(PARAMETER, ':$1')

/** By name, decoded. @throws TunnelFault `not-found` where a percent sign stands for nothing: there is no such address */
export function readParams(c: Context, { path }: Pick<Operation, 'path'>): Record<string, string> {
  const names = Array.from(path.matchAll(PARAMETER), ([, name = '']) => name)
  // The router hands on what it cannot decode as it is.
  if (names.length > 0 && !isDecodable(new URL(c.req.url).pathname)) throw new TunnelFault('not-found')
  return Object.fromEntries(names.map((name) => [name, c.req.param(name) ?? '']))
}

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}
