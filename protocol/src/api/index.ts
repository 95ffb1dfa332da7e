/** The door of the control API: what its callers and the service must agree on. */
export { type Account, accountSchema } from './account.ts'
export { describeIssues } from './issues.ts'
export { faultOf, PROBLEM_TYPE, type Problem, problemOf, problemSchema } from './problem.ts'
export { SCOPES, type Scope } from './scope.ts'
export { type TicketRequest, ticketRequestSchema, usernameSchema } from './ticket-request.ts'
