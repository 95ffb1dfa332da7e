/** For how long a visitor has kept its stream waiting, whichever version of HTTP it speaks. Knows nothing of connections, nor of who needs the stream. */
import { SLOW_UPLOAD_BYTES_PER_SECOND } from '@postern/protocol/limits'

/** Times are monotonic milliseconds. */
export interface StreamUse {
  /** Since when the visitor has had the stream, or its body has been asked for. */
  readonly since: number
  /** Since when it has not read all that it was given; undefined if it has. */
  readonly fullSince: number | undefined
  /** Bytes of the body that it has sent; undefined if nobody waits for more. */
  readonly uploaded: number | undefined
}

/** By not reading, or by hardly sending since `since`; milliseconds, 0 if it does not. Asked only where a tunnel has no stream left. */
export function keptWaiting(now: number, { since, fullSince, uploaded }: StreamUse): number {
  if (fullSince !== undefined) return now - fullSince
  if (uploaded === undefined) return 0
  const ms = now - since
  return uploaded * 1000 < SLOW_UPLOAD_BYTES_PER_SECOND * ms ? ms : 0
}
