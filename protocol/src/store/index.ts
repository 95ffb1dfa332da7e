/** The door of the table, and the only place of the project that speaks to AWS. */
import { auditStore, nodeAuditStore } from './audit.ts'
import type { DynamoClient } from './dynamo-client.ts'
import { failedAuthStore } from './failed-auth.ts'
import { grantKeyStore } from './grant-keys.ts'
import { reservationStore } from './reservations.ts'
import { revocationStore } from './revocations.ts'
import { routeStore } from './routes.ts'
import type { Stores } from './stores.ts'
import { openTable } from './table.ts'
import { taskStore } from './tasks.ts'
import { ticketStore } from './tickets.ts'
import { tokenStore } from './tokens.ts'
import { tunnelStore } from './tunnels.ts'
import { userStore } from './users.ts'

export { createTable } from './create-table.ts'
export { createDynamoClient, type DynamoClient, type DynamoClientOptions } from './dynamo-client.ts'
export type {
  AuditEntry,
  Eviction,
  GrantKeys,
  OnlineRoute,
  Reservation,
  Revocation,
  Route,
  Task,
  Ticket,
  Token,
  TunnelRow,
  User,
} from './records.ts'
export { readSecret } from './secret-value.ts'
export type {
  AuditStore,
  ClaimCall,
  Consumed,
  FailedAuthStore,
  GrantKeyStore,
  NewId,
  NodeAuditStore,
  Page,
  PageCall,
  ReleaseCall,
  ReservationStore,
  ReserveCall,
  RevocationStore,
  RouteStore,
  Stores,
  TaskStore,
  TicketStore,
  TokenStore,
  TunnelStore,
  UserChanges,
  UserStore,
} from './stores.ts'
export { readEviction } from './tasks.ts'

/** All stores on the table of that name. Nothing is called until one of them is. */
export function openStore({ tableName, client }: { tableName: string; client: DynamoClient }): Stores {
  const table = openTable(tableName, client)
  const users = userStore(table)
  const revocations = revocationStore(table)
  return {
    tickets: ticketStore(table),
    tokens: tokenStore(table, revocations),
    users,
    reservations: reservationStore(table, users),
    routes: routeStore(table),
    tasks: taskStore(table),
    revocations,
    grantKeys: grantKeyStore(table),
    tunnels: tunnelStore(table),
    audit: auditStore(table),
    nodeAudit: nodeAuditStore(table),
    failedAuth: failedAuthStore(table),
  }
}
