/** How many calls of each operation are let through. API Gateway and the local front enforce it. */
import { ADMINISTRATION_CALLS, OTHER_CALLS, TICKET_CALLS } from '../limits.ts'
import { OPERATIONS, type Operation, type OperationId } from './operations.ts'

/** A token bucket. */
export interface CallRate {
  readonly perSecond: number
  readonly atOnce: number
}

/** `POST /`, where no agent of ours asks, is one of the others: a flood of it takes no tickets from agents. */
export function callRateOf(id: OperationId): CallRate {
  if (id === 'issueTicket') return TICKET_CALLS
  const { who }: Operation = OPERATIONS[id]
  return who === 'admin' || who === 'owner' ? ADMINISTRATION_CALLS : OTHER_CALLS
}
