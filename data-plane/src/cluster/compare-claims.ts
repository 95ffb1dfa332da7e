/** Compares the channels of this task with what the table says of their names, and ends those that have lost theirs. Knows nothing of why it is asked to. */
import { TunnelFault } from '@postern/protocol/fault'
import { CLAIMS_COMPARED_AT_ONCE } from '@postern/protocol/limits'
import type { RouteStore } from '@postern/protocol/store'
import type { Tunnel } from '../channel/tunnel.ts'

type Compared = Pick<Tunnel, 'subdomain' | 'connId' | 'claiming' | 'claimed' | 'serving' | 'replacedBy' | 'disconnect'>

/** Never rejects: what cannot be read is left as it is. */
export async function compareClaims(tunnels: Iterable<Compared>, routes: Pick<RouteStore, 'list'>): Promise<void> {
  const left = [...tunnels].filter(({ claiming, serving }) => claiming || serving)
  const one = async (): Promise<void> => {
    for (let tunnel = left.pop(); tunnel !== undefined; tunnel = left.pop()) await compare(tunnel, routes)
  }
  await Promise.all(Array.from({ length: CLAIMS_COMPARED_AT_ONCE }, one))
}

async function compare(tunnel: Compared, routes: Pick<RouteStore, 'list'>): Promise<void> {
  // The table may have granted a claim whose answer is still on its way, and another one since.
  await tunnel.claimed()
  if (!tunnel.serving) return
  let online: { connId: string; instanceId: string }[]
  try {
    const rows = await routes.list(tunnel.subdomain, { consistent: true })
    online = rows.filter((row) => row.routeState === 'online')
  } catch {
    // The table is out of reach, which ends nobody's tunnel.
    return
  }
  if (online.some(({ connId }) => connId === tunnel.connId)) return
  const [successor] = online
  if (successor) tunnel.replacedBy(successor)
  else tunnel.disconnect(new TunnelFault('channel-lost', 'The table knows nothing of its claim any more.'))
}
