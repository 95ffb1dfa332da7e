/** Tells an agent that has proven its key why it gets no channel after all: `refused` on the control stream, GOAWAY, the end. Knows nothing of the reasons. */
import { performance } from 'node:perf_hooks'
import type tls from 'node:tls'
import type { TunnelFault } from '../fault.ts'
import { HELLO_TIMEOUT_MS } from '../limits.ts'
import { WindowBudget } from '../mux/index.ts'
import { Channel } from './channel.ts'
import { refusedBy } from './control-messages.ts'
import { serverControlStream } from './control-stream.ts'

const NO_GROWTH = new WindowBudget(0)
const ignore = (): void => {}
const now = (): number => performance.now()

/** Resolves once the socket is closed; never rejects. An agent that opens no control stream within HELLO_TIMEOUT_MS is told nothing. */
export function refuseSecured(socket: tls.TLSSocket, fault: TunnelFault): Promise<void> {
  return new Promise((resolve) => {
    const impatience = setTimeout(() => channel.destroy(fault), HELLO_TIMEOUT_MS)
    const over = (): void => {
      clearTimeout(impatience)
      resolve()
    }
    const channel = new Channel({
      socket,
      side: 'server',
      budget: NO_GROWTH,
      now,
      peerStreams: 1,
      events: {
        streamOpened(stream) {
          serverControlStream({ stream, now, message: ignore, ended: ignore }).send(refusedBy(fault))
          void channel.close()
        },
        closed: over,
        lost: over,
      },
    })
  })
}
