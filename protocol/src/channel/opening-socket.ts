/** The one owner of a socket while its channel is being opened: listeners, deadline, end. Knows nothing of what is said on it. */
import { setMaxListeners } from 'node:events'
import type net from 'node:net'
import type tls from 'node:tls'
import ipaddr from 'ipaddr.js'
import { TunnelFault } from '../fault.ts'
import type { Handshake } from './secure.ts'

const NOTHING = Buffer.alloc(0)

/** What a judge found at the beginning of the bytes: `value`, made of the first `bytes` of them. */
export interface Taken<T> {
  readonly bytes: number
  readonly value: T
}

/**
 * Every wait of an opening goes through this object, so that the first of error, end, deadline and abort ends whatever is being waited for.
 * A socket that is destroyed before it is wrapped, or between two waits, is noticed at the next one: a TLSSocket made over it would stay silent for ever.
 */
export class OpeningSocket {
  readonly #raw: net.Socket
  readonly #signal: AbortSignal | undefined
  #secured: tls.TLSSocket | undefined
  #proven = false
  #timer: NodeJS.Timeout | undefined
  #pending: Buffer = NOTHING
  /** Why the opening is over. */
  #end: { readonly reason: unknown } | undefined
  #stopWaiting: ((reason: unknown) => void) | undefined
  /** Called with more bytes; without it the peer has nothing to say. */
  #look: (() => void) | undefined
  #underWay: Promise<unknown> = Promise.resolve()

  constructor(raw: net.Socket, signal?: AbortSignal) {
    this.#raw = raw
    this.#signal = signal
    // The first listener stays for the socket's whole life: a reset that nobody hears ends the process.
    raw.on('error', ignoreError)
    raw.on('error', this.#onError)
    raw.on('close', this.#onClose)
    raw.on('end', this.#onClose)
    raw.on('data', this.#onData)
    // One signal stops all openings of a task; Node 20 suspects a leak at the eleventh.
    if (signal) setMaxListeners(0, signal)
    signal?.addEventListener('abort', this.#onAbort)
    if (signal?.aborted) this.#onAbort()
    if (raw.destroyed || raw.readableEnded) this.#onClose()
  }

  /** Whom the socket itself is connected to. */
  get peer(): { address: string; port: number } {
    const { remoteAddress, remotePort } = this.#raw
    // A socket that is already gone has no address any more, and is never asked for it again.
    if (remoteAddress === undefined || remotePort === undefined) return { address: '0.0.0.0', port: 0 }
    return { address: ipaddr.process(remoteAddress.split('%', 1)[0]!).toString(), port: remotePort }
  }

  /** Whether the secured socket is there, alive and proven. */
  get proven(): boolean {
    return this.#proven && this.#secured?.destroyed === false
  }

  /** Sets the one deadline, in place of an earlier one. `fault` is what it ends with. */
  expireIn(milliseconds: number, fault: () => TunnelFault): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#stop(fault()), Math.max(0, milliseconds))
  }

  /** Waits until `judge`, shown all that came, takes its beginning. What the judge throws ends the wait. */
  take<T>(judge: (pending: Buffer) => Taken<T> | undefined): Promise<T> {
    return this.#wait((resolve, reject) => {
      this.#look = () => {
        if (this.#pending.length === 0) return
        try {
          const taken = judge(this.#pending)
          if (taken === undefined) return
          this.#look = undefined
          this.#pending = this.#pending.subarray(taken.bytes)
          resolve(taken.value)
        } catch (error) {
          this.#look = undefined
          reject(error)
        }
      }
      this.#look()
    })
  }

  /** Waits for `work` while the peer has nothing to say. `work` itself is not stopped by the end of the socket: see `idle`. */
  async during<T>(work: Promise<T>): Promise<T> {
    this.#underWay = Promise.allSettled([this.#underWay, work])
    return await this.#wait<T>((resolve, reject) => {
      work.then(resolve, reject)
      if (this.#pending.length > 0) this.#stop(saidTooMuch())
    })
  }

  /** Resolves when nothing that was handed to `during` is still at work. */
  async idle(): Promise<void> {
    await this.#underWay
  }

  /** Writes in clear. Resolves when the kernel has it. */
  async write(text: string): Promise<void> {
    await this.during(
      new Promise<void>((resolve, reject) => {
        this.#raw.write(text, (error) => (error ? reject(lost(error)) : resolve()))
      }),
    )
  }

  /** Puts TLS on the socket and waits for its proof. Rejects with what `proof` says, `key-mismatch` for a failed handshake, `channel-lost` for a lost socket. */
  async secure(begin: (raw: net.Socket) => Handshake): Promise<void> {
    await this.#wait<void>((resolve, reject) => {
      if (this.#pending.length > 0) throw saidTooMuch()
      this.#raw.off('data', this.#onData)
      this.#raw.pause()
      const { socket, event, proof } = begin(this.#raw)
      this.#secured = socket
      socket.on('error', ignoreError)
      socket.on('error', this.#onError)
      socket.on('close', this.#onClose)
      socket.on('end', this.#onClose)
      socket.once(event, () => {
        const fault = proof()
        if (fault !== undefined) return reject(fault)
        this.#proven = true
        resolve()
      })
    })
  }

  /** Gives the secured socket away, paused. */
  releaseSecured(): tls.TLSSocket {
    this.#letGo()
    if (this.#secured === undefined || this.#secured.destroyed) throw lost()
    return this.#secured
  }

  /** Leaves the raw socket, paused, to whoever made it. Returns what was read beyond the beginning. */
  releaseRaw(): Buffer {
    this.#raw.pause()
    this.#letGo()
    return this.#pending
  }

  /**
   * Sends a last line in clear and ends. Resolves once the socket is closed: by the peer, whose bytes are discarded until then, or after `graceMs`.
   * With 0 it is closed as soon as the kernel has the line, which the peer may then miss if it still sends.
   */
  async dismiss(text: string, graceMs: number): Promise<void> {
    this.#letGo()
    const raw = this.#raw
    if (raw.destroyed || this.#secured) return this.destroy()
    await new Promise<void>((resolve) => {
      const grace = setTimeout(() => raw.destroy(), graceMs)
      raw.once('close', () => {
        clearTimeout(grace)
        resolve()
      })
      // Closing with bytes unread would reset the connection and could take the line with it.
      raw.resume()
      raw.end(text)
    })
  }

  /** Ends at once. Harmless when repeated. */
  destroy(): void {
    this.#letGo()
    this.#secured?.destroy()
    this.#raw.destroy()
  }

  #wait<T>(start: (resolve: (value: T) => void, reject: (reason: unknown) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#stopWaiting = reject
      if (this.#end) reject(this.#end.reason)
      else if (this.#raw.destroyed) reject(lost())
      else start(resolve, reject)
    }).finally(() => {
      this.#stopWaiting = undefined
    })
  }

  #stop(reason: unknown): void {
    this.#end ??= { reason }
    this.#stopWaiting?.(this.#end.reason)
  }

  #letGo(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    for (const socket of [this.#raw, this.#secured]) {
      socket?.off('error', this.#onError)
      socket?.off('close', this.#onClose)
      socket?.off('end', this.#onClose)
    }
    this.#raw.off('data', this.#onData)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    if (this.#look) this.#look()
    else this.#stop(saidTooMuch())
  }

  readonly #onError = (error: Error): void => {
    this.#stop(isTlsFailure(error) ? new TunnelFault('key-mismatch', undefined, { cause: error }) : lost(error))
  }

  readonly #onClose = (): void => {
    this.#stop(lost())
  }

  readonly #onAbort = (): void => {
    this.#stop(this.#signal?.reason)
  }
}

function ignoreError(): void {
  // Whoever owns the socket hears of its end by 'close'; this one only keeps the process alive.
}

const lost = (cause?: Error): TunnelFault => new TunnelFault('channel-lost', undefined, { cause })

const saidTooMuch = (): TunnelFault =>
  new TunnelFault('opening-malformed', 'The other end went on before it was its turn.')

/** A failure of TLS, as opposed to one of the connection below it (which has a system call, or is Node's own ECONNRESET). */
const isTlsFailure = (error: Error & { code?: string; syscall?: string }): boolean =>
  error.syscall === undefined && error.code !== 'ECONNRESET'
