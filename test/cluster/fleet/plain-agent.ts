/** An agent of this process that tells on which task each of its channels is. Its loop, its dialling and its back-off are the agent's own. Knows nothing of who listens. */
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { parseServer } from '@postern/protocol/client'
import type { TunnelFault } from '@postern/protocol/fault'
import { WindowBudget } from '@postern/protocol/mux'
import { type ChannelTicket, Secret } from '@postern/protocol/ticket'
import { Agent, type Wanted } from '../../../agent/src/agent.ts'
import { ControlClient } from '../../../agent/src/control-client.ts'
import { drawChannel } from '../../../agent/src/draw-channel.ts'
import { LocalServer } from '../../../agent/src/local-server.ts'
import { SharedBackoff } from '../../../agent/src/shared-backoff.ts'

interface Opened {
  /** Which of the agent's channels it is. */
  readonly slot: number
  readonly task: string
  readonly epoch: number
  /** The id of its ticket. */
  readonly ticket: string
  /** When it dialled; performance.now(). */
  readonly begun: number
}

/** What a channel leads to. */
interface LocalPlace {
  readonly port: number
  opened?(channel: Opened): void
  /** Nothing of the channel is left, or it never came to be. */
  over?(): void
}

export interface PlainAgentOptions {
  readonly name: string
  /** Where tickets are asked for. */
  readonly server: string
  readonly token: string
  readonly holdMs?: number
  /** How many channels it keeps; 1 unless told. */
  readonly connections?: number
  /** Asked before each dialling. */
  place(): Promise<LocalPlace> | LocalPlace
  /** It waits before it tries again, and why. */
  lost?(why: TunnelFault): void
}

export interface PlainAgent {
  readonly instanceId: string
  /** Resolves when it is over for good: stopped (undefined), or refused for ever. */
  readonly over: Promise<TunnelFault | undefined>
  stop(drainMs?: number): Promise<void>
}

const budget = new WindowBudget(32 * 1024 * 1024)

export function startPlainAgent(options: PlainAgentOptions): PlainAgent {
  const { name, server, token, holdMs, lost } = options
  const instanceId = randomUUID()
  const dial = async (ticket: ChannelTicket, { slot, unwanted }: Wanted, signal: AbortSignal) => {
    const place = await options.place()
    const begun = performance.now()
    try {
      const dialed = await drawChannel(
        ticket,
        {
          hello: {
            version: '0.0.0',
            instanceId,
            slot,
            pool: false,
            rules: {},
            ...(holdMs !== undefined && { holdMs }),
          },
          random: Math.random,
          server: new LocalServer(['127.0.0.1'], place.port),
          budget,
          now: () => performance.now(),
        },
        unwanted,
        signal,
      )
      const { taskId: task, epoch } = dialed.welcome
      place.opened?.({ slot, task, epoch, ticket: ticket.workerId, begun })
      void dialed.channel.ended.then(() => place.over?.())
      return dialed
    } catch (error) {
      place.over?.()
      throw error
    }
  }
  const agent = new Agent({
    subdomain: name,
    connections: options.connections ?? 1,
    patient: true,
    control: new ControlClient({ server: parseServer(server), token: new Secret(token), version: '0.0.0' }),
    dial,
    drawName: () => name,
    now: () => performance.now(),
    // Its own: agents of one process share theirs, and these stand for as many processes.
    backoff: new SharedBackoff({
      now: () => performance.now(),
      random: Math.random,
      sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => undefined),
    }),
    report: (report) => {
      if (report.kind === 'waiting') lost?.(report.why)
    },
  })
  const over = agent.run()
  return {
    instanceId,
    over,
    async stop(drainMs = 0) {
      agent.stop(drainMs)
      await over
    },
  }
}
