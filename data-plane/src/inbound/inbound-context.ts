/** What a visitor's connection is handed: by its service, by its listener, by the balancer. Knows nothing of what it does with it. */
import type { CookieFence } from '@postern/protocol/http'
import type { Route } from '../route/route.ts'
import type { AdmissionContext } from './admission.ts'
import type { RecordKeeper } from './request-record.ts'
import type { StreamUser } from './who-gives-way.ts'

export interface VisitorContext extends AdmissionContext {
  readonly proto: 'http' | 'https'
  readonly cookies: CookieFence
  newRequestId(): string
  readonly records: RecordKeeper
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
  /** The task is about to stop: each response says that it is the last on its connection. */
  readonly retiring: boolean
  /** Takes a stream of `route` from a visitor who keeps it waiting, or who is of a crowd. False if there is none such. */
  makeRoom(route: Route, forWhom: StreamUser): boolean
}
