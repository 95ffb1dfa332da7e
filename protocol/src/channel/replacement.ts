/** When a channel is to be replaced by the end that opened it. Node cannot change the keys of a TLS 1.3 connection (RFC 8446 §5.5). */
import { CHANNEL_AGE_MS, CHANNEL_AGE_SPREAD, CHANNEL_BYTES } from '../limits.ts'
import type { Channel } from './channel.ts'

/** The age at which one channel is replaced, in milliseconds. @param random uniform in [0, 1): channels that were opened together are not replaced together */
export const replacementAge = (random: () => number): number =>
  CHANNEL_AGE_MS * (1 + (2 * random() - 1) * CHANNEL_AGE_SPREAD)

/** @param ageMs as `replacementAge` gave it for this channel */
export const needsReplacement = (
  { age, bytesIn, bytesOut }: Pick<Channel, 'age' | 'bytesIn' | 'bytesOut'>,
  ageMs: number,
): boolean => age >= ageMs || Math.max(bytesIn, bytesOut) >= CHANNEL_BYTES
