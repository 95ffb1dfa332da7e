/** What a visitor's connection is handed: by its service, by its listener, by the balancer. Knows nothing of what it does with it. */
import type { FaultCode } from '@postern/protocol/fault'
import type { CookieFence } from '@postern/protocol/http'
import type { Route } from '../route/route.ts'
import type { AdmissionContext } from './admission.ts'
import type { StreamUser } from './who-gives-way.ts'

export interface VisitorContext extends AdmissionContext {
  readonly proto: 'http' | 'https'
  readonly cookies: CookieFence
  newRequestId(): string
  /** Told of every request, and of every fault that a visitor gets. On the path of each: it adds, and nothing else. */
  readonly counts: { request(): void; fault(code: FaultCode): void }
}

export interface VisitorAddress {
  readonly address: string
  readonly key: string
}

/** The listener, as a visitor's connection sees it. */
export interface VisitorHost {
  /** The deadline of what may take so many milliseconds. */
  deadlineIn(ms: number): number
  /** Monotonic milliseconds. */
  now(): number
  /** Takes a stream of `route` from a visitor who keeps it waiting, or who is of a crowd. False if there is none such. */
  makeRoom(route: Route, forWhom: StreamUser): boolean
}
