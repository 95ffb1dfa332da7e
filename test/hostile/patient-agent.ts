/** An agent without a local server: it keeps every request waiting until it is told to answer. */
import type { Channel } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import type { RawStream } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { openAgentChannel } from './agent-channel.ts'

export class PatientAgent {
  /** Streams whose request has come and that nobody has reset. */
  readonly waiting = new Set<RawStream>()
  /** Why its channel ended, if it has. */
  lost: TunnelFault | undefined
  #channel!: Channel

  /** Resolves when the tunnel is open. @throws TunnelFault as `openChannel` does */
  static async open(ticket: ChannelTicket): Promise<PatientAgent> {
    const agent = new PatientAgent()
    agent.#channel = await openAgentChannel(ticket, {
      streamOpened: (stream) => agent.#hold(stream),
      lost: (fault) => {
        agent.lost = fault
      },
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
