/** What requests are handed by their service and by the listener that they come through. */
import type { TunnelFault } from '@postern/protocol/fault'
import type { CookieFence } from '@postern/protocol/http'
import type { Redirect } from '../dispatch/redirector.ts'
import type { Sought } from '../dispatch/sought.ts'
import type { Away } from '../dispatch/waiting-room.ts'
import type { Route } from '../route/route.ts'
import type { RecordKeeper } from './request-record.ts'

export interface ProxyContext {
  /** What a request with this (lower-case) Host is answered with or from. */
  readonly dispatcher: { find(host: string, addressKey: string): Route | Sought | Away | Redirect | TunnelFault }
  readonly proto: 'http' | 'https'
  readonly cookies: CookieFence
  readonly records: RecordKeeper
  newRequestId(): string
  /** A failure of a request, for the log. */
  failed(requestId: string, fault: TunnelFault): void
}

export interface ProxyHost {
  /** Monotonic milliseconds. */
  now(): number
}
