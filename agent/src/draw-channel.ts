/** One ticket, several tries: a balancer leads to any task, and some are not what an agent looks for, or have just died. Knows nothing of how tickets are got. */
import { setTimeout as delay } from 'node:timers/promises'
import { TunnelFault, toFault } from '@postern/protocol/fault'
import { TASK_DRAW_PAUSE_MS, TASK_DRAWS, UNANSWERED_DRAWS } from '@postern/protocol/limits'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { type DialedChannel, dialChannel } from './dial-channel.ts'
import type { LiveChannelOptions } from './live-channel.ts'

/** Thrown by ourselves at an answer that we do not want; the ticket is not spent by then. */
const UNWANTED = new TunnelFault('channel-closed', 'Another task is looked for.')

/**
 * A task that stops refuses before the ticket is spent, so do we where we have a channel already, and a connection that breaks before the answer
 * has spent nothing: the same ticket looks on. After TASK_DRAWS unwanted answers any task will do.
 * @param unwanted the tasks that the agent would rather not have
 * @throws TunnelFault as `dialChannel`; `signal.reason` when aborted
 */
export async function drawChannel(
  ticket: ChannelTicket,
  options: LiveChannelOptions,
  unwanted: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<DialedChannel> {
  let unanswered = 0
  for (let draw = 1; ; draw += 1) {
    let answered = false
    const onAnswer = (taskId: string): void => {
      answered = true
      if (draw <= TASK_DRAWS && unwanted.has(taskId)) throw UNWANTED
    }
    try {
      return await dialChannel(ticket, options, signal, onAnswer)
    } catch (error) {
      const { code } = toFault(error)
      const lost = code === 'channel-lost' && !answered
      if (lost) unanswered += 1
      const drawAgain = error === UNWANTED || code === 'server-draining' || (lost && unanswered < UNANSWERED_DRAWS)
      if (!drawAgain || draw >= 2 * TASK_DRAWS) throw error
    }
    await delay(TASK_DRAW_PAUSE_MS, undefined, { signal }).catch(() => undefined)
    signal.throwIfAborted()
  }
}
