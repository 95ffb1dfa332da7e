/** The embedded table behind the rights of a role: a call that they do not allow is refused as AWS refuses it. Knows nothing of who calls. */
import { allows, type Statement } from '../../cdk/lib/testing/rights.ts'
import { startTableFront } from './table-front.ts'

export interface GuardedTable {
  readonly endpoint: string
  /** `Query TASKS`, `GetItem TICKET#…`: every call and the kind of its partition. */
  readonly allowed: ReadonlySet<string>
  readonly refused: ReadonlySet<string>
  stop(): Promise<void>
}

const DENIED = { refuse: 'com.amazon.coral.service#AccessDeniedException' }

export async function guardTable(endpoint: string, rights: readonly Statement[]): Promise<GuardedTable> {
  const allowed = new Set<string>()
  const refused = new Set<string>()
  const front = await startTableFront(endpoint, ({ operation, partition }) => {
    const leadingKeys = partition === undefined ? [] : [partition]
    const may = allows(rights, { action: `dynamodb:${operation}`, leadingKeys })
    ;(may ? allowed : refused).add(`${operation} ${partition?.replace(/#.*/s, '#…')}`)
    return may ? 'pass' : DENIED
  })
  return { endpoint: front.endpoint, allowed, refused, stop: () => front.stop() }
}
