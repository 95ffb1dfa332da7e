/** Checks that cases have left nothing in their process: no sockets, timers and the like, and no memory. */
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { openBeyond, openResources } from '../support/resources/open-resources.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const MiB = 1024 * 1024
/** A parser keeps the message it has read last, the writer of heads one slab; 64 cases at once have at most 100 KB each. */
const KEPT_BYTES = 8 * MiB

/** Bytes that are in use: of buffers and of objects. The memory of a buffer is given back in a later turn than the buffer. */
async function bytesInUse(): Promise<number> {
  for (let collections = 0; collections < 2; collections += 1) {
    collectGarbage()
    await turn()
  }
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

export class CaseRemains {
  readonly #open = openResources()
  readonly #patienceMs: number | undefined
  #bytes: number | undefined

  /** @param patienceMs see `openBeyond` */
  constructor(patienceMs?: number) {
    this.#patienceMs = patienceMs
  }

  /** Returns what the cases so far have left: `2 TCPSocketWrap`. The first call sets the base of memory: what parsers, the slab of heads and compiled code take for good. */
  async left(): Promise<string[]> {
    const left = await openBeyond(this.#open, this.#patienceMs)
    const bytes = await bytesInUse()
    this.#bytes ??= bytes
    if (bytes > this.#bytes + KEPT_BYTES) left.push(`${Math.round((bytes - this.#bytes) / MiB)} MiB`)
    return left
  }
}
