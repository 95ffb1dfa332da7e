/** The value of a Server-Timing field (W3C Server Timing §3.1): how long each part of the way took. Knows nothing of who measured it. */
import { inTenths, tenthsOf } from './in-tenths.ts'

/** Up to 10 ms each for the way and for the local server, which is what most requests of a busy task take. */
const USUAL_TENTHS = 100
/** Each made when it is first asked for: joining the pieces and making bytes of them costs as much as all else that is noted of a request. */
const usual: (string | undefined)[] = Array.from({ length: USUAL_TENTHS * USUAL_TENTHS }, () => undefined)

/** Milliseconds each. A hold of 0, and what is negative, was not there; '' where nothing is known. */
export function serverTiming(holdMs: number, hopMs: number, channelMs: number, originMs: number): string {
  if (holdMs > 0 || hopMs >= 0 || channelMs < 0 || originMs < 0) return inPieces(holdMs, hopMs, channelMs, originMs)
  const channel = tenthsOf(channelMs)
  const origin = tenthsOf(originMs)
  if (channel >= USUAL_TENTHS || origin >= USUAL_TENTHS) return inPieces(holdMs, hopMs, channelMs, originMs)
  const at = channel * USUAL_TENTHS + origin
  usual[at] ??= inPieces(holdMs, hopMs, channelMs, originMs)
  return usual[at]
}

function inPieces(holdMs: number, hopMs: number, channelMs: number, originMs: number): string {
  const pieces: string[] = []
  if (holdMs > 0) pieces.push(`hold;dur=${inTenths(holdMs)}`)
  if (hopMs >= 0) pieces.push(`hop;dur=${inTenths(hopMs)}`)
  if (channelMs >= 0) pieces.push(`channel;dur=${inTenths(channelMs)}`)
  if (originMs >= 0) pieces.push(`origin;dur=${inTenths(originMs)}`)
  return pieces.join(', ')
}
