/** One ticket, several tries: a balancer leads to any task, and some are not what an agent looks for. Knows nothing of how tickets are got. */
import { setTimeout as delay } from 'node:timers/promises'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { TASK_DRAW_PAUSE_MS, TASK_DRAWS } from '@postern/protocol/limits'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { type DialedChannel, dialChannel } from './dial-channel.ts'
import type { LiveChannelOptions } from './live-channel.ts'

/** Thrown by ourselves at an answer that we do not want; the ticket is not spent by then. */
const UNWANTED = new TunnelFault('channel-closed', 'Another task is looked for.')

/**
 * A task that stops refuses before the ticket is spent, and so do we where we have a channel already: the same ticket looks on. After
 * TASK_DRAWS unwanted answers any task will do.
 * @param unwanted the tasks that the agent would rather not have
 * @throws TunnelFault as `dialChannel`; `signal.reason` when aborted
 */
export async function drawChannel(
  ticket: ChannelTicket,
  options: LiveChannelOptions,
  unwanted: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<DialedChannel> {
  for (let draw = 1; ; draw += 1) {
    const onAnswer = (taskId: string): void => {
      if (draw <= TASK_DRAWS && unwanted.has(taskId)) throw UNWANTED
    }
    try {
      return await dialChannel(ticket, options, signal, onAnswer)
    } catch (error) {
      const drawAgain = error === UNWANTED || toFault(error).code === 'server-draining'
      if (!drawAgain || draw >= 2 * TASK_DRAWS) throw error
    }
    await delay(TASK_DRAW_PAUSE_MS, undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
  }
}
