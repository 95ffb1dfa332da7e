/** Frames without payload that wait for the next flush, in order. Knows nothing of streams. */
import { CONTROL_BACKLOG_FRAMES } from '../limits.ts'
import type { Output } from './output.ts'

const WORDS = 4

export class ControlQueue {
  /** Four numbers a frame: nothing to allocate for each, nothing kept by an idle channel. */
  readonly #words: number[] = []

  get empty(): boolean {
    return this.#words.length === 0
  }

  /** False: so many wait already that the peer cannot be reading. */
  push(type: number, flags: number, id: number, length: number): boolean {
    if (this.#words.length >= CONTROL_BACKLOG_FRAMES * WORDS) return false
    this.#words.push(type, flags, id, length)
    return true
  }

  moveTo(output: Output): void {
    const words = this.#words
    if (words.length === 0) return
    for (let at = 0; at < words.length; at += WORDS) {
      output.header(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!)
    }
    words.length = 0
  }

  clear(): void {
    this.#words.length = 0
  }
}
