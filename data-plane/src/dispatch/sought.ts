/** What a request finds whose tunnel takes its time to be found. Knows nothing of who looks for it, nor where. */
import type { TunnelFault } from '@postern/protocol/fault'

export class Sought {
  /** Never rejects. Undefined: it is worth asking again. */
  readonly settled: Promise<TunnelFault | undefined>

  constructor(settled: Promise<TunnelFault | undefined>) {
    this.settled = settled
  }
}
