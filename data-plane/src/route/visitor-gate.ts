/** The access policy of a route: `ProxyRequest` asks it before each request. */
import type { TunnelFault } from '@postern/protocol/fault'
import type { PublicPlace, RequestForwarding, RequestHead, ResponseForwarding } from '@postern/protocol/http'

export type RequestChanges = Pick<RequestForwarding, 'host' | 'via' | 'withoutCookies' | 'removed' | 'extraLines'>
export type ResponseChanges = Pick<ResponseForwarding, 'mend' | 'removed' | 'extraLines' | 'passedOn'>

/** A request may pass, so changed. */
export interface Admission {
  readonly request: RequestChanges
  /** For the heads of its responses; `place` is how it came. */
  response(place: PublicPlace): ResponseChanges
}

/** The fault that the visitor gets instead, or how its request passes; undefined: as it is. */
export type Verdict = TunnelFault | Admission | undefined

export interface VisitorGate {
  /** Of every request, before anything of it is sent on. A promise only where the answer takes longer than a look; it never rejects. */
  judge(address: string, head: RequestHead): Verdict | Promise<Verdict>
}
