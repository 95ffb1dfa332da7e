/** What an eavesdropper on the path gets of an opening, and what becomes of it when it is sent again. Knows nothing of keys. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { openChannel } from '@postern/protocol/channel'
import type { ChannelTicket } from '@postern/protocol/ticket'

/** All that the agent sent to open its channel, in the order it was sent. */
export type Overheard = readonly Buffer[]

/**
 * Lets an honest agent open with this ticket, through a path that keeps its last flight, the proof of its key, to itself: the
 * eavesdropper has everything the agent says, and the ticket is not spent.
 */
export async function overhear(ticket: ChannelTicket, channelPort: number): Promise<Overheard> {
  const heard: Buffer[] = []
  let tellWhole = (): void => {}
  const whole = new Promise<void>((resolve) => {
    tellWhole = resolve
  })
  const relay = createServer((agent) => {
    const server = connect({ host: '127.0.0.1', port: channelPort })
    let handshakeAnswered = false
    let answerLineSeen = false
    server.on('data', (chunk: Buffer) => {
      handshakeAnswered = answerLineSeen
      answerLineSeen = true
      agent.write(chunk)
    })
    agent.on('data', (chunk: Buffer) => {
      heard.push(chunk)
      if (handshakeAnswered) tellWhole()
      else server.write(chunk)
    })
    for (const socket of [agent, server]) socket.on('error', () => {})
    agent.on('close', () => server.destroy())
    server.on('close', () => agent.destroy())
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const socket = connect({ host: '127.0.0.1', port: (relay.address() as AddressInfo).port })
  await once(socket, 'connect')
  // The agent takes the channel for open: its own handshake is over when it has sent its last flight.
  const agent = await openChannel(socket, ticket)
  await whole
  agent.socket.destroy()
  relay.close()
  return heard
}

/** Says it all again: the id, and when it is accepted the rest. Answers what the server sent behind its answer line. */
export function replay(overheard: Overheard, channelPort: number): Promise<{ accepted: boolean; sent: Buffer }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: channelPort })
    const [id, ...rest] = overheard
    const came: Buffer[] = []
    let accepted = false
    socket.on('data', (chunk: Buffer) => {
      came.push(chunk)
      if (accepted || !chunk.toString('latin1').startsWith('{"ok":true')) return
      accepted = true
      for (const flight of rest) socket.write(flight)
    })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // Refused in the middle of what it says: that is a way to be refused.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
    socket.on('close', () => {
      const all = Buffer.concat(came)
      resolve({ accepted, sent: all.subarray(all.indexOf(0x0a) + 1) })
    })
    socket.write(id!)
  })
}
