/** How often an address may fail to say who it is. Knows nothing of tokens; a good one never comes here. */
import { addressKey } from '@postern/protocol/address'
import { TunnelFault } from '@postern/protocol/fault'
import { FAILED_AUTH_ADDRESSES, FAILED_AUTHS_PER_MINUTE } from '@postern/protocol/limits'
import { errorLine, type Log } from './log.ts'
import type { ControlDeps } from './settings.ts'

const MINUTE_MS = 60_000

export type FailedAuthLimit = (fault: TunnelFault, sourceIp: string, requestId: string) => Promise<TunnelFault>

/**
 * Counts a failure, and answers what the caller is told: `fault` itself, or `too-many-failures` until the minute is over.
 * Where it cannot be counted, the fault stands.
 */
export function failedAuthLimit(
  { stores, settings, now }: Pick<ControlDeps, 'stores' | 'settings' | 'now'>,
  log: Log,
): FailedAuthLimit {
  /** Addresses that are over in this minute, so that they cost the table nothing more. */
  let over = new Set<string>()
  let minuteOfOver = 0

  const isOver = async (address: string, time: number): Promise<boolean> => {
    const minute = Math.floor(time / MINUTE_MS)
    if (minute !== minuteOfOver) {
      over = new Set()
      minuteOfOver = minute
    }
    if (over.has(address)) return true
    const failures = await stores.failedAuth.count({ address, now: time })
    if (failures <= FAILED_AUTHS_PER_MINUTE) return false
    if (over.size < FAILED_AUTH_ADDRESSES) over.add(address)
    return true
  }

  return async (fault, sourceIp, requestId) => {
    const time = now()
    try {
      if (!(await isOver(addressKey(sourceIp, 'observed', settings.loopback), time))) return fault
    } catch (error) {
      log({ level: 'warn', message: 'a failed authentication was not counted', requestId, error: errorLine(error) })
      return fault
    }
    return new TunnelFault('too-many-failures', `More than ${FAILED_AUTHS_PER_MINUTE} in a minute.`, {
      cause: fault,
      retryAfterMs: MINUTE_MS - (time % MINUTE_MS),
    })
  }
}
