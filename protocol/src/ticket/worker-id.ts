/** The id of a ticket: what an agent presents first, in clear, and what the table knows only as a hash. */
import { createHash } from 'node:crypto'
import type { Random } from './random.ts'

/** 144 bits: 24 characters of base64url, well under the 64 bytes that the first line may have. */
const RANDOM_BYTES = 18

/** A new id of printable ASCII. */
export const newWorkerId = (random: Random): string => Buffer.from(random(RANDOM_BYTES)).toString('base64url')

/** The key of the ticket in the table: SHA-256 as 64 hex digits. */
export const workerIdHash = (workerId: string): string => createHash('sha256').update(workerId).digest('hex')
