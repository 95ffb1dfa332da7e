/** A WebSocket client that talks now and then, and comes back when it is closed. Knows nothing of why. */
import { WebSocket } from 'ws'

interface SocketEnd {
  /** RFC 6455 §7.4; 1006: without a Close frame. */
  readonly code: number
  /** Until it was open again, in milliseconds; undefined: it is not. */
  readonly backAfterMs: number | undefined
}

export interface SocketClient {
  readonly ends: readonly SocketEnd[]
  /** Messages that came back. */
  readonly echoed: number
  readonly open: boolean
  stop(): void
}

const TALK_MS = 200
const AGAIN_MS = 100

/** @param closed hears each end, with the port of its own that the connection had */
export function keepSocket(
  port: number,
  host: string,
  closed: (code: number, clientPort: number) => void = () => undefined,
): SocketClient {
  const ends: { code: number; backAfterMs: number | undefined }[] = []
  let echoed = 0
  let stopped = false
  let socket: WebSocket
  let closedAt = 0
  let isOpen = false
  let clientPort = 0
  const open = (): void => {
    if (stopped) return
    socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host } })
    socket.on('error', () => undefined)
    socket.on('upgrade', (response) => {
      clientPort = response.socket.localPort ?? 0
    })
    socket.on('open', () => {
      isOpen = true
      const last = ends.at(-1)
      if (last && last.backAfterMs === undefined) last.backAfterMs = performance.now() - closedAt
    })
    socket.on('message', () => {
      echoed += 1
    })
    socket.on('close', (code) => {
      if (isOpen && !stopped) {
        closedAt = performance.now()
        ends.push({ code, backAfterMs: undefined })
        closed(code, clientPort)
      }
      isOpen = false
      if (!stopped) setTimeout(open, AGAIN_MS)
    })
  }
  open()
  const timer = setInterval(() => {
    if (isOpen) socket.send('hello')
  }, TALK_MS)
  return {
    ends,
    get echoed() {
      return echoed
    },
    get open() {
      return isOpen
    },
    stop() {
      stopped = true
      clearInterval(timer)
      socket.terminate()
    },
  }
}
