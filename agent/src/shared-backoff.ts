/** How long the tunnels of one process wait before they try one service again: together no more often than one alone. Knows nothing of what they try. */
import { BACKOFF_LONGEST_MS } from '@postern/protocol/limits'
import { delayAfter } from './backoff.ts'

/** Once somebody got through, the others follow within this time. */
const FOLLOW_MS = 1000

export interface SharedBackoffDeps {
  /** Milliseconds of a monotonic clock. */
  now(): number
  /** Uniform in [0, 1). */
  random(): number
  /** Resolves after so many milliseconds, or at once when aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export class SharedBackoff {
  readonly #deps: SharedBackoffDeps
  readonly #waiting = new Set<AbortController>()
  /** The most failures in a row that anybody has told since somebody got through. */
  #failures = 0

  constructor(deps: SharedBackoffDeps) {
    this.#deps = deps
  }

  /**
   * As `delayAfter` of backoff.ts, by whoever has failed most, and longer the more wait already.
   * @param failures of whoever asks, in a row
   */
  delayAfter(failures: number): number {
    this.#failures = Math.max(this.#failures, failures)
    const alone = delayAfter(this.#failures, this.#deps.random)
    return Math.min(alone * (this.#waiting.size + 1), BACKOFF_LONGEST_MS * 4)
  }

  /** Resolves after `ms`, sooner if somebody else gets through meanwhile, and at once when aborted. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const { sleep, random, now } = this.#deps
    const news = new AbortController()
    this.#waiting.add(news)
    const began = now()
    await sleep(ms, AbortSignal.any([signal, news.signal]))
    this.#waiting.delete(news)
    if (!news.signal.aborted || signal.aborted) return
    await sleep(Math.max(0, Math.min(ms - (now() - began), random() * FOLLOW_MS)), signal)
  }

  /** The service is there: a channel was opened. */
  gotThrough(): void {
    this.#failures = 0
    for (const news of this.#waiting) news.abort()
  }
}
