/** What a path between two ends can do to the bytes of one direction. Knows nothing of any particular fault. */
import type { Duplex } from 'node:stream'

/** One TCP connection through the proxy, as a fault sees it. */
export interface Path {
  /** FIN to both ends, behind what has passed. */
  close(): void
  /** RST to both ends, at once. */
  reset(): void
}

/** Made anew for each connection and direction: what goes in is what one end said, what comes out is what the other end hears. */
export type Fault = (path: Path) => Duplex
