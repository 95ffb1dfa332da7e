/** The ticket an agent is given, and what the service keeps about it. Knows nothing of how either travels. */
import * as z from 'zod/mini'
import { WORKER_ID_BYTES } from '../limits.ts'

/** The answer of the control plane. Unknown fields are ignored, so that a later service may say more. */
export const channelTicketSchema = z.object({
  /** Port of the channel server. */
  port: z.int().check(z.minimum(1), z.maximum(65_535)),
  /** The first data on the channel: printable ASCII without white space. */
  workerId: z.string().check(z.minLength(16), z.maxLength(WORKER_ID_BYTES), z.regex(/^[\x21-\x7e]+$/)),
  /** 32 random bytes as 64 hex digits: the external PSK of the channel. */
  encryptionKeyText: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  /** Where the channel server listens. */
  host: z.string().check(z.minLength(1), z.maxLength(253)),
  /** The public address of the tunnel. */
  url: z.string().check(z.regex(/^https?:\/\/[^\s/]+\/?$/)),
  /** ISO 8601, UTC. */
  expiresAt: z.iso.datetime(),
  /** The address the control plane saw, which is the one white-listed. */
  seenIp: z.string().check(z.minLength(2), z.maxLength(64)),
  protocol: z.literal(1),
})

export type ChannelTicket = z.infer<typeof channelTicketSchema>

/** What the channel server knows of a ticket once its key is unsealed. */
export type ChannelInfo = { username: string; subdomain: string; encryptionKey: Uint8Array }
