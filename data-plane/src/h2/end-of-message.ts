/** Tells the end of an HTTP/2 message from the end of its stream. */
import type { Http2Stream } from 'node:http2'

/**
 * `node:http2` emits 'end' for END_STREAM, and for a stream that is reset or whose connection breaks as well: what came so far would look whole. Then it
 * pushes the end from within the stream's destruction, or, for a reset that says NO_ERROR, of a stream that it has closed before.
 */
export class EndOfMessage {
  /** END_STREAM has come. */
  received: boolean

  /** `received`: it came before this was made. */
  constructor(stream: Http2Stream, received: boolean) {
    this.received = received
    const push = stream.push.bind(stream)
    stream.push = (chunk, encoding) => {
      if (chunk === null) this.received ||= !stream.destroyed && !stream.closed
      return push(chunk, encoding)
    }
  }
}
