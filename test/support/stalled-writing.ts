/** Writes a lot to somebody who does not read at first, and says how much went before it was held back. Knows nothing of who that is. */
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { patternedPieces } from './patterned-bytes.ts'

/** Nothing moves for this long: it is held back, not merely slow. */
const STILL_MS = 500

export class StalledWriting {
  /** Bytes; rejects if all were written without a stop, or if they could not be. */
  readonly heldBackAt: Promise<number>

  /** Writes the first `bytes` of the pattern, as `to` takes them, and ends it. */
  constructor(to: Writable, bytes: number) {
    this.heldBackAt = new Promise((resolve, reject) => {
      write(to, bytes, resolve).then(() => reject(new Error('nobody held it back')), reject)
    })
  }
}

async function write(to: Writable, bytes: number, heldBack: (at: number) => void): Promise<void> {
  let written = 0
  for (const piece of patternedPieces(bytes)) {
    written += piece.length
    if (to.write(piece)) continue
    const still = setTimeout(heldBack, STILL_MS, written)
    await once(to, 'drain')
    clearTimeout(still)
  }
  to.end()
}
