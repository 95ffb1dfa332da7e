/** Frames without payload that wait for the next flush, in order. */
import type { Output } from './output.ts'

const WORDS = 4

export class ControlQueue {
  /** Frames among them that the peer has caused. */
  answers = 0
  /** Four numbers a frame: nothing to allocate for each, nothing kept by an idle channel. */
  readonly #words: number[] = []

  get empty(): boolean {
    return this.#words.length === 0
  }

  push(type: number, flags: number, id: number, length: number, isAnswer: boolean): void {
    this.#words.push(type, flags, id, length)
    if (isAnswer) this.answers++
  }

  moveTo(output: Output): void {
    const words = this.#words
    for (let at = 0; at < words.length; at += WORDS) {
      output.header(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!)
    }
    this.clear()
  }

  clear(): void {
    this.#words.length = 0
    this.answers = 0
  }
}
