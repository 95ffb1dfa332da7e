/** Limits the notices that an agent gets: a few each second, and one for each name of a dropped cookie. */
import { type NoticeKind, RateBucket } from '@postern/protocol/channel'
import { NOTICED_COOKIES, NOTICES_BURST, NOTICES_PER_SECOND } from '@postern/protocol/limits'

export class AgentNotices {
  readonly #rate: RateBucket
  readonly #cookies = new Set<string>()

  /** `now`: monotonic milliseconds. */
  constructor(now: () => number) {
    this.#rate = new RateBucket(NOTICES_PER_SECOND, NOTICES_BURST, now)
  }

  /** Counts it; false: it does not go. */
  admit(about: NoticeKind, detail: string): boolean {
    const isCookie = about === 'cookie-dropped'
    if (isCookie && (this.#cookies.has(detail) || this.#cookies.size >= NOTICED_COOKIES)) return false
    if (!this.#rate.take()) return false
    if (isCookie) this.#cookies.add(detail)
    return true
  }
}
