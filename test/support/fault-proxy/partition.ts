/** A path on which nothing arrives for a while: what was sent meanwhile comes when the path is mended, as TCP sends it again. Knows nothing of what passes. */
import { Transform, type TransformCallback } from 'node:stream'
import type { Fault } from './fault.ts'

export class Partition {
  #broken = false
  readonly #waiting = new Set<() => void>()

  /** For each path that it shall part, in both directions. */
  readonly fault: Fault = () => {
    const hold = (pass: () => void): void => {
      if (this.#broken) this.#waiting.add(pass)
      else pass()
    }
    return new Transform({
      transform: (chunk: Buffer, _encoding, done: TransformCallback) => hold(() => done(null, chunk)),
      flush: (done) => hold(() => done()),
    })
  }

  begin(): void {
    this.#broken = true
  }

  end(): void {
    this.#broken = false
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const pass of waiting) pass()
  }
}
