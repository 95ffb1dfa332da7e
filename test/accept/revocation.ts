/** Judges how soon the revocation of a token takes effect. */
import { failed, passed, seconds, type Verdict } from './verdict.ts'

/** docs/security.md promises this. */
export const REVOCATION_MS = 5000

export interface RevocationTimes {
  /** From the answer of the API until the response in progress was cut; undefined: it was not. */
  readonly cutMs: number | undefined
  /** Until the agent ended; undefined: it did not. */
  readonly agentMs: number | undefined
  /** Status of a request after both; 200 is the local server's answer. */
  readonly statusAfter: number
}

export function judgeRevocation({ cutMs, agentMs, statusAfter }: RevocationTimes): Verdict {
  const detail = `Response in progress: ${endOf(cutMs, 'cut')}. Agent: ${endOf(agentMs, 'ended')}. Status of a later request: ${statusAfter}.`
  const inTime = (ms: number | undefined): boolean => ms !== undefined && ms <= REVOCATION_MS
  return inTime(cutMs) && inTime(agentMs) && statusAfter !== 200 ? passed(detail) : failed(detail)
}

const endOf = (ms: number | undefined, what: string): string =>
  ms === undefined ? `not ${what}` : `${what} after ${seconds(ms)}`
