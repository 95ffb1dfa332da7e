/** Checks whether an HTTP/2 session still works (RFC 9113 §6.7). */
import type { Http2Session } from 'node:http2'
import { BODY_IDLE_MS, H2_PING_MS, H2_PONG_MS } from '@postern/protocol/limits'

export interface LivenessOptions {
  readonly session: Http2Session
  /** The frame that the peer has to answer. */
  by(): 'ping' | 'settings'
  /** Whether bytes wait for the peer to read. */
  blocked(): boolean
  /** The deadline of what may take so many milliseconds; later than the current turn of the event loop even for 0. */
  deadlineIn(ms: number): number
  /** Called once, when the session works no longer. */
  dead(): void
  /** Called when a PING is sent. Returns what is called when it is answered. */
  pinged?(): () => void
}

/**
 * - `live`: the peer has sent something lately.
 * - `asked`: the session was given a PING or SETTINGS, and has written it by the next check if it works.
 * - `awaited`: the frame waits for the peer.
 */
type State = 'live' | 'asked' | 'awaited'

/** RFC 9113 §4.1, §6.7: a PING, and SETTINGS that change nothing. */
const PING_BYTES = 17
const SETTINGS_BYTES = 9
/** So many frames, one after the other, until one shows whether the session writes it. */
const MOST_ASKED = 3

/**
 * After some errors of a peer, nghttp2 sends GOAWAY and does nothing more. Node 20 then stops reading and emits no event: the session, its
 * streams and its descriptor stay, even when the peer has closed the connection. Such a session does not write a PING either, so it is found
 * without waiting for the peer.
 */
export class Liveness {
  /** When `check` is due. */
  deadline: number
  readonly #options: LivenessOptions
  #state: State = 'live'
  #bytesRead = -1
  #bytesWritten = -1
  /** Length of the frame that the session was given last, and how many it was given since the peer has sent something. */
  #askedBytes = 0
  #asked = 0
  /** When the peer must have sent something. */
  #answerDue = 0
  /** Until when a peer may leave unread what it was sent. */
  #patience = 0

  /** The first PING is due at once: most sessions that break do so on their first bytes. */
  constructor(options: LivenessOptions) {
    this.#options = options
    this.deadline = options.deadlineIn(0)
  }

  stop(): void {
    this.deadline = Infinity
  }

  check(): void {
    const { session, blocked, deadlineIn } = this.#options
    if (session.destroyed) return this.stop()
    const { bytesRead, bytesWritten } = session.socket
    const first = this.#bytesRead === -1
    const received = bytesRead !== this.#bytesRead
    const sentBytes = bytesWritten - this.#bytesWritten
    const sent = sentBytes > 0
    this.#bytesRead = bytesRead
    this.#bytesWritten = bytesWritten
    if (first) return this.#ask(session)
    if (received) {
      this.#asked = 0
      // What has come since an earlier look may have broken the session.
      if (this.#state === 'awaited') return this.#ask(session)
      this.#state = 'live'
      this.deadline = deadlineIn(H2_PING_MS)
      return
    }
    if (this.#state === 'live') return this.#ask(session)
    // A part of a response may have been written instead, before the session broke.
    if (this.#state === 'asked' && sentBytes > this.#askedBytes && this.#asked < MOST_ASKED) return this.#ask(session)
    if (sent) this.#patience = deadlineIn(BODY_IDLE_MS)
    else if (this.#state === 'asked' && !blocked()) return this.#end()
    if (this.#state === 'asked' || sent) this.#answerDue = deadlineIn(H2_PONG_MS)
    else if (this.deadline >= this.#answerDue && (!blocked() || this.deadline >= this.#patience)) return this.#end()
    this.#state = 'awaited'
    this.deadline = deadlineIn(H2_PING_MS)
  }

  #ask(session: Http2Session): void {
    const { by, deadlineIn } = this.#options
    this.#state = 'asked'
    this.#asked += 1
    this.#patience = deadlineIn(BODY_IDLE_MS)
    this.deadline = deadlineIn(0)
    // The answer shows in the bytes that arrive. A session that has begun to close sends no PING; SETTINGS is answered as well.
    const settings = by() === 'settings' || session.closed
    this.#askedBytes = settings ? SETTINGS_BYTES : PING_BYTES
    if (settings) session.settings({}, () => {})
    else this.#ping(session)
  }

  #ping(session: Http2Session): void {
    const answered = this.#options.pinged?.()
    session.ping((error) => {
      if (error === null) answered?.()
    })
  }

  #end(): void {
    this.stop()
    this.#options.dead()
  }
}
