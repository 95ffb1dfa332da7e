/** For tests: a stream of the channel, whose other end is the test. */
import { TunnelFault } from '@postern/protocol/fault'
import type { RawStream, StreamListener } from '@postern/protocol/mux'

export class HeldStream implements RawStream {
  readonly id = 2
  listener!: StreamListener
  sent = ''
  credited = 0
  over = false

  listen(listener: StreamListener): void {
    this.listener = listener
  }

  write(chunk: Buffer): boolean {
    if (!this.over) this.sent += chunk
    return !this.over
  }

  end(): void {
    this.sent += '.'
  }

  reset(): void {
    this.over = true
  }

  consume(bytes: number): void {
    if (!this.over) this.credited += bytes
  }

  /** The data plane resets it. */
  cut(code: 'stream-reset' | 'channel-lost' = 'stream-reset'): void {
    this.over = true
    this.listener.reset(new TunnelFault(code))
  }
}
