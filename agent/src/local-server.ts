/** Connects to the local server: each of its addresses in turn, next time first the one that answered. Knows nothing of streams. */
import net from 'node:net'
import { type FaultCode, TunnelFault } from '@postern/protocol/fault'
import { ORIGIN_CONNECT_TIMEOUT_MS, TCP_KEEPALIVE_MS } from '@postern/protocol/limits'

/** Of two addresses that failed differently, the earlier reason here tells the person more. */
const REASONS = ['origin-refused', 'origin-timeout', 'origin-unreachable'] as const satisfies readonly FaultCode[]
type Reason = (typeof REASONS)[number]

/** Why there is no connection. */
export type OriginConnectFault = TunnelFault & { readonly code: Reason }

export interface LocalServerListener {
  /** Nothing has been written to or read from `socket`; its events are the listener's from now on. */
  connected(socket: net.Socket): void
  failed(fault: OriginConnectFault): void
}

export class LocalServer {
  readonly #addresses: readonly string[]
  readonly #port: number
  readonly #changed: (fault: OriginConnectFault | undefined) => void
  /** Index of the address that answered last. */
  #preferred = 0
  /** How the latest attempt ended; undefined: with a connection, or there was none. */
  #reason: Reason | undefined

  /**
   * @param addresses at least one, pinned (see `pinTarget`)
   * @param changed hears when connecting begins to fail, fails otherwise, or works again (undefined)
   */
  constructor(
    addresses: readonly string[],
    port: number,
    changed: (fault: OriginConnectFault | undefined) => void = () => undefined,
  ) {
    this.#addresses = addresses
    this.#port = port
    this.#changed = changed
  }

  /**
   * One connection, half-open allowed, without Nagle's delay. The listener is called exactly once and never before this
   * returns, unless it is cancelled.
   *
   * @returns cancels; harmless when repeated or late
   */
  connect(listener: LocalServerListener): () => void {
    const count = this.#addresses.length
    const first = this.#preferred
    const causes: { reason: Reason; error: Error }[] = []

    const attempt = (tried: number): (() => void) => {
      const index = (first + tried) % count
      return connectOnce(this.#addresses[index]!, this.#port, (socket, error) => {
        if (!error) {
          this.#preferred = index
          this.#note(undefined)
          listener.connected(socket)
          return
        }
        causes.push({ reason: reasonOf(error), error })
        if (tried + 1 < count) {
          cancel = attempt(tried + 1)
          return
        }
        const fault = mostTelling(causes)
        this.#note(fault)
        listener.failed(fault)
      })
    }

    let cancel = attempt(0)
    return () => cancel()
  }

  #note(fault: OriginConnectFault | undefined): void {
    if (fault?.code === this.#reason) return
    this.#reason = fault?.code
    this.#changed(fault)
  }
}

/** @returns gives up; harmless once `done` has been called */
function connectOnce(host: string, port: number, done: (socket: net.Socket, error?: Error) => void): () => void {
  // Keep-alive: a server on another machine that is gone shows, however long an answer may be silent.
  const alive = { keepAlive: true, keepAliveInitialDelay: TCP_KEEPALIVE_MS }
  const socket = net.connect({ host, port, allowHalfOpen: true, noDelay: true, ...alive })
  socket.setTimeout(ORIGIN_CONNECT_TIMEOUT_MS)
  const settle = (error?: Error): void => {
    socket.setTimeout(0)
    socket.off('connect', connected).off('timeout', timedOut).off('error', settle)
    if (error) giveUp(socket)
    done(socket, error)
  }
  const connected = (): void => settle()
  const timedOut = (): void => settle(Object.assign(new Error(`no answer from ${host}`), { code: 'ETIMEDOUT' }))
  socket.on('connect', connected).on('timeout', timedOut).on('error', settle)
  return () => {
    if (!socket.connecting) return
    socket.off('connect', connected).off('timeout', timedOut).off('error', settle)
    giveUp(socket)
  }
}

/** Nobody listens any longer, and an unheard 'error' would end the process. */
function giveUp(socket: net.Socket): void {
  socket.on('error', () => undefined)
  socket.destroy()
}

function reasonOf(error: Error): Reason {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ECONNREFUSED') return 'origin-refused'
  return code === 'ETIMEDOUT' ? 'origin-timeout' : 'origin-unreachable'
}

function mostTelling(causes: readonly { reason: Reason; error: Error }[]): OriginConnectFault {
  const [told] = [...causes].sort((a, b) => REASONS.indexOf(a.reason) - REASONS.indexOf(b.reason))
  const { reason, error } = told!
  return new TunnelFault(reason, error.message, { cause: error }) as OriginConnectFault
}
