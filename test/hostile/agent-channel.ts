/** An agent's end of a channel, whose streams are in the hands of the test: there is no local server. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { agentControlStream, Channel, type Hello, openChannel, type ServerMessage } from '@postern/protocol/channel'
import type { TunnelFault } from '@postern/protocol/fault'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import { type RawStream, WindowBudget } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'

export interface AgentChannelOptions {
  readonly hello?: Partial<Pick<Hello, 'rules' | 'upstreamProtocol'>>
  streamOpened(stream: RawStream): void
  lost?(fault: TunnelFault): void
}

const now = (): number => performance.now()

/** Resolves when the tunnel is open. @throws TunnelFault as `openChannel` does */
export async function openAgentChannel(ticket: ChannelTicket, options: AgentChannelOptions): Promise<Channel> {
  const raw = connect({ host: ticket.host, port: ticket.port, noDelay: true })
  await once(raw, 'connect')
  const { socket } = await openChannel(raw, ticket)
  const channel = new Channel({
    ...{ socket, side: 'agent', budget: new WindowBudget(0), now, peerStreams: STREAMS_PER_CHANNEL },
    events: { streamOpened: options.streamOpened, lost: (fault) => options.lost?.(fault) },
  })
  await new Promise<void>((resolve, reject) => {
    const message = ({ type }: ServerMessage): void => {
      if (type === 'welcome') resolve()
      else if (type === 'refused') reject(new Error('refused'))
    }
    const control = agentControlStream({ stream: channel.openControlStream(), now, message, ended: () => {} })
    const hello = { version: '0.0.0', instanceId: randomUUID(), slot: 0, pool: false, rules: {}, ...options.hello }
    control.send({ type: 'hello', ...hello })
  })
  return channel
}
