/** Ends an HTTP/2 session of a server in good order (RFC 9113 §6.8). */
import type { ServerHttp2Session } from 'node:http2'

/**
 * A request that comes between `session.close()` and the GOAWAY that it sends is reset by `node:http2` while nghttp2 is still reading it, and nghttp2 goes on with
 * memory that is free (seen by valgrind on Node 20.20). A visitor can bring this about: `node:http2` calls `close` when the visitor sends GOAWAY. So GOAWAY is sent
 * first, and `close` is called when it is out. nghttp2 refuses what comes in between by itself.
 */
export class GoingAway {
  readonly #session: ServerHttp2Session
  readonly #close: () => void
  #begun = false

  /** @param asked called when the visitor has sent GOAWAY */
  constructor(session: ServerHttp2Session, asked: () => void) {
    this.#session = session
    this.#close = session.close.bind(session)
    session.close = asked
  }

  /** Streams that open from now on are not for a request: the visitor is to make it again on another connection. */
  get begun(): boolean {
    return this.#begun
  }

  /** Sends GOAWAY. */
  begin(): void {
    if (this.#begun || this.#session.destroyed) return
    this.#begun = true
    this.#session.goaway()
  }

  /** Sends FIN behind the GOAWAY. To be called when no request is open; without effect while an earlier write keeps the GOAWAY back. */
  finish(): void {
    // Not inside an event, which nghttp2 may be waiting for. The GOAWAY goes out before this.
    setImmediate(() => {
      const { destroyed, closed, state } = this.#session
      if (!destroyed && !closed && state.outboundQueueSize === 0) this.#close()
    })
  }
}
