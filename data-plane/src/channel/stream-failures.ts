/** What an agent has said of streams that it is about to reset, until somebody asks. Knows nothing of the streams themselves. */
import type { StreamFaultMessage } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import { STREAMS_PER_CHANNEL } from '@postern/protocol/limits'

export class StreamFailures {
  /** As many as there can be streams. */
  readonly #notes = new Map<number, StreamFaultMessage>()

  /** Of a stream that nobody asks about any more the note stays behind, until newer ones push it out. */
  note(message: StreamFaultMessage): void {
    this.#notes.set(message.streamId, message)
    if (this.#notes.size <= STREAMS_PER_CHANNEL) return
    const [oldest] = this.#notes.keys()
    this.#notes.delete(oldest!)
  }

  /** What was said of a stream; told once. */
  take(streamId: number): { fault: TunnelFault; unsent: boolean } | undefined {
    const message = this.#notes.get(streamId)
    if (message === undefined) return undefined
    this.#notes.delete(streamId)
    return { fault: new TunnelFault(message.fault), unsent: message.unsent }
  }
}
