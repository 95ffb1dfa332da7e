/** An agent that opens a channel and leaves as soon as it is welcomed or refused. Serves no visitor. */
import { randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { agentControlStream, Channel, openChannel, type ServerMessage } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { WindowBudget } from '@postern/protocol/mux'
import type { ChannelTicket } from '@postern/protocol/ticket'

/** A connection to the channel server, from this address of the machine. */
export function dial({ port }: { readonly port: number }, localAddress = '127.0.0.1'): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true })
    socket.once('error', reject).once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

/** What came of it: `welcome`, or the code of the fault that the opening, the refusal or the channel ended with. */
export async function tryOpening(ticket: ChannelTicket, localAddress?: string): Promise<string> {
  try {
    const { socket } = await openChannel(await dial(ticket, localAddress), ticket)
    return await greet(socket)
  } catch (error) {
    if (error instanceof TunnelFault) return error.code
    throw error
  }
}

function greet(socket: TLSSocket): Promise<string> {
  const now = (): number => performance.now()
  return new Promise((resolve) => {
    const channel = new Channel({
      socket,
      side: 'agent',
      budget: new WindowBudget(0),
      now,
      peerStreams: 1,
      events: {
        closed: () => resolve('channel-closed'),
        lost: (fault) => resolve(fault.code),
      },
    })
    const settle = (message: ServerMessage): void => {
      if (message.type === 'welcome') resolve('welcome')
      else if (message.type === 'refused') resolve(message.fault)
      else return
      void channel.close()
    }
    const control = agentControlStream({ stream: channel.openStream(), now, message: settle, ended: () => {} })
    const instanceId = randomBytes(16).toString('hex')
    control.send({ type: 'hello', version: '0.1.0', instanceId, slot: 0, pool: false, rules: {} })
  })
}
