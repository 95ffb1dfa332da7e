/** What a data-plane task is handed: the table, as far as it may write there, keys, clocks, and where its words go. Knows nothing of what is made of it. */
import type {
  GrantKeyStore,
  NodeAuditStore,
  ReservationStore,
  RevocationStore,
  Stores,
  TaskStore,
  TokenStore,
  TunnelStore,
} from '@postern/protocol/store'
import type { DeploymentKeys } from '@postern/protocol/ticket'
import type { Logger } from 'pino'
import type { LineWriter } from './ops/line-writer.ts'

/** What a task may do to the table; its role there allows no more. */
export interface PlaneStores extends Pick<Stores, 'tickets' | 'routes'> {
  readonly reservations: Pick<ReservationStore, 'ownerOf'>
  readonly tokens: Pick<TokenStore, 'find'>
  readonly tasks: Pick<TaskStore, 'renew' | 'end' | 'list' | 'evict' | 'heeded'>
  readonly revocations: Pick<RevocationStore, 'since'>
  readonly grantKeys: Pick<GrantKeyStore, 'read'>
  readonly tunnels: Pick<TunnelStore, 'put' | 'remove'>
  readonly nodeAudit: NodeAuditStore
}

export interface DataPlaneDeps {
  readonly stores: PlaneStores
  readonly keys: DeploymentKeys
  /** Of the hop; undefined: no other task is asked, nor answered. */
  readonly hopKeys: DeploymentKeys | undefined
  readonly log: Logger
  /** Milliseconds since 1970. */
  clock(): number
  /** Monotonic milliseconds. */
  now(): number
  /** Bytes this process may use; ceilings derive from it. */
  readonly memoryLimit: number
  /** Takes the metrics, line by line; undefined where nobody wants them. */
  readonly metrics: ((line: string) => void) | undefined
  /** Takes the access log, if there is to be one, and says how many of its lines it has dropped. */
  readonly lines: Pick<LineWriter, 'begin' | 'flush' | 'dropped'>
}
