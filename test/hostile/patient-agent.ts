/** An agent without a local server: it keeps every request waiting until it is told to answer. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { agentControlStream, Channel, openChannel, type ServerMessage } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'
import { type RawStream, WindowBudget } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'

const now = (): number => performance.now()

export class PatientAgent {
  /** Streams whose request has come and that nobody has reset. */
  readonly waiting = new Set<RawStream>()
  /** Why its channel ended, if it has. */
  lost: TunnelFault | undefined
  #channel!: Channel

  /** Resolves when the tunnel is open. @throws TunnelFault as `openChannel` does */
  static async open(ticket: ChannelTicket): Promise<PatientAgent> {
    const agent = new PatientAgent()
    const raw = connect({ host: ticket.host, port: ticket.port, noDelay: true })
    await once(raw, 'connect')
    const { socket } = await openChannel(raw, ticket)
    const channel = new Channel({
      ...{ socket, side: 'agent', budget: new WindowBudget(0), now, peerStreams: STREAMS_PER_CHANNEL },
      events: {
        streamOpened: (stream) => agent.#hold(stream),
        lost: (fault) => {
          agent.lost = fault
        },
      },
    })
    agent.#channel = channel
    await new Promise<void>((resolve, reject) => {
      const message = ({ type }: ServerMessage): void => {
        if (type === 'welcome') resolve()
        else if (type === 'refused') reject(new Error('refused'))
      }
      const control = agentControlStream({ stream: channel.openControlStream(), now, message, ended: () => {} })
      control.send({ type: 'hello', version: '0.0.0', instanceId: randomUUID(), slot: 0, pool: false, rules: {} })
    })
    return agent
  }

  /** Every request that waits gets this response. */
  answer(response: Buffer): void {
    for (const stream of this.waiting) stream.write(Buffer.from(response))
  }

  leave(): void {
    this.#channel.destroy(new TunnelFault('channel-closed'))
  }

  #hold(stream: RawStream): void {
    stream.listen({
      data: (chunk) => {
        stream.consume(chunk.length)
        this.waiting.add(stream)
      },
      end: () => stream.end(),
      reset: () => this.waiting.delete(stream),
      writable: () => {},
    })
  }
}
