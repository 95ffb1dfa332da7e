/** Our multiplexer on a plain TCP socket: one flush per turn of the event loop, no channel, no key. */
import type { Socket } from 'node:net'
import { TunnelFault } from '@postern/protocol/fault'
import { SOCKET_BACKLOG_BYTES } from '@postern/protocol/limits'
import { Mux, type RawStream, WindowBudget } from '@postern/protocol/mux'

export interface MuxOnSocket {
  readonly mux: Mux
  readonly faults: TunnelFault[]
  readonly pongs: number[]
  readonly goAways: number[]
}

export function muxOnSocket(
  socket: Socket,
  side: 'agent' | 'server',
  onStream: (stream: RawStream) => void,
): MuxOnSocket {
  const faults: TunnelFault[] = []
  const pongs: number[] = []
  const goAways: number[] = []
  let scheduled = false
  const schedule = () => {
    if (scheduled) return
    scheduled = true
    setImmediate(flush)
  }
  const mux = new Mux({
    side,
    now: () => performance.now(),
    budget: new WindowBudget(32 * 1024 * 1024),
    peerStreams: 256,
    events: {
      outputReady: schedule,
      streamOpened: onStream,
      pong: (roundTripMs) => void pongs.push(roundTripMs),
      goAway: (code) => void goAways.push(code),
      violated: (fault) => void faults.push(fault),
    },
  })
  function flush(): void {
    scheduled = false
    const room = SOCKET_BACKLOG_BYTES - socket.writableLength
    if (room <= 0 || socket.destroyed) return
    socket.cork()
    for (const piece of mux.pull(room)) socket.write(piece)
    socket.uncork()
    if (mux.outputWaiting && socket.writableLength < SOCKET_BACKLOG_BYTES) schedule()
  }
  socket.setNoDelay(true)
  socket.on('data', (chunk) => mux.receive(chunk))
  socket.on('drain', schedule)
  socket.on('error', () => {})
  socket.on('close', () => mux.close(new TunnelFault('channel-lost')))
  return { mux, faults, pongs, goAways }
}
