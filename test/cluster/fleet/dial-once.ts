/** One opening with one ticket, at a port of one's choice; what came of it is in the history. Knows nothing of why it is tried. */
import { randomUUID } from 'node:crypto'
import { TunnelFault } from '@postern/protocol/fault'
import { WindowBudget } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { dialChannel } from '../../../agent/src/dial-channel.ts'
import type { LiveChannel } from '../../../agent/src/live-channel.ts'
import { LocalServer } from '../../../agent/src/local-server.ts'
import type { History } from '../history/history.ts'

export interface Dialled {
  /** `welcome`, or the code of the fault that it ended with. */
  readonly outcome: string
  /** Undefined unless it was welcomed. */
  readonly channel: LiveChannel | undefined
}

const budget = new WindowBudget(1024 * 1024)

export async function dialOnce(
  ticket: ChannelTicket,
  port: number,
  { name, originPort, history }: { readonly name: string; readonly originPort: number; readonly history: History },
): Promise<Dialled> {
  const begun = performance.now()
  const hello = { version: '0.0.0', instanceId: randomUUID(), slot: 0, pool: false, rules: {}, holdMs: 0 }
  const server = new LocalServer(['127.0.0.1'], originPort)
  const options = { hello, server, budget, random: Math.random, now: () => performance.now() }
  try {
    const { channel, welcome } = await dialChannel({ ...ticket, port }, options, new AbortController().signal)
    const { taskId: task, epoch } = welcome
    const agent = hello.instanceId
    history.add({ kind: 'claimed', begun, at: performance.now(), name, agent, ticket: ticket.workerId, task, epoch })
    return { outcome: 'welcome', channel }
  } catch (error) {
    if (!(error instanceof TunnelFault)) throw error
    return { outcome: error.code, channel: undefined }
  }
}
