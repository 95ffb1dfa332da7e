/** What stands between visitors and a route: whoever sends requests on asks it before each of them, and knows nothing of its rules. */
import type { TunnelFault } from '@postern/protocol/fault'
import type { PublicPlace, RequestForwarding, RequestHead, ResponseForwarding } from '@postern/protocol/http'

export type RequestChanges = Pick<RequestForwarding, 'host' | 'via' | 'removed' | 'extraLines'>
export type ResponseChanges = Pick<ResponseForwarding, 'mend' | 'removed' | 'extraLines' | 'passedOn'>

/** The fault that the visitor gets instead; undefined: it may pass. */
export type Verdict = TunnelFault | undefined

export interface VisitorGate {
  /** Of every request, before anything of it is sent on. A promise only where the answer takes longer than a look; it never rejects. */
  judge(address: string, head: RequestHead): Verdict | Promise<Verdict>
  /** For the head of each request. */
  readonly request: RequestChanges
  /** For the heads of the responses to a request that came by that place. */
  response(place: PublicPlace): ResponseChanges
}
