/** An agent of this process: one channel for one ticket, which does not come back when it is lost. Knows nothing of how tickets are got. */
import { randomUUID } from 'node:crypto'
import type { Hello, VisitorRules } from '@postern/protocol/channel'
import { WindowBudget } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { dialChannel } from '../../agent/src/dial-channel.ts'
import type { LiveChannel, Notice } from '../../agent/src/live-channel.ts'
import { LocalServer } from '../../agent/src/local-server.ts'

const budget = new WindowBudget(32 * 1024 * 1024)

/** Resolves with the welcomed channel, which serves what listens on `originPort`. @throws TunnelFault as the agent's own dialling */
export async function dialAgent(
  ticket: ChannelTicket,
  originPort: number,
  rules: VisitorRules = {},
  { notice, ...hello }: { notice?: (notice: Notice) => void } & Pick<Hello, 'firstByteMs'> = {},
): Promise<LiveChannel> {
  const { channel } = await dialChannel(
    ticket,
    {
      // Nobody waits for it: whether a visitor hangs is what is looked at.
      hello: { version: '0.0.0', instanceId: randomUUID(), slot: 0, pool: false, rules, holdMs: 0, ...hello },
      server: new LocalServer(['127.0.0.1'], originPort),
      notice,
      budget,
      now: () => performance.now(),
      random: Math.random,
    },
    new AbortController().signal,
  )
  return channel
}
