/** How much has passed lately, which is as much as may follow at once. */
import { STREAM_WAIT_MS } from '@postern/protocol/limits'

export class RecentFlow {
  #bytes = 0
  #until = -Infinity

  /** `now` is monotonic, in milliseconds. */
  add(bytes: number, now: number): void {
    if (now > this.#until) {
      this.#bytes = 0
      this.#until = now + STREAM_WAIT_MS
    }
    this.#bytes += bytes
  }

  /** Bytes of the last STREAM_WAIT_MS, or of the part of it that has begun; 0 if nothing has passed for so long. */
  bytes(now: number): number {
    return now > this.#until ? 0 : this.#bytes
  }
}
