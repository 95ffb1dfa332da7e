/** Who did what: for each day a list of the control plane and a list of the nodes, read as one. */
import { AUDIT_PURGE_AFTER_MS } from '../limits.ts'
import { type AuditEntry, auditSchema, nodeAuditSchema } from './records.ts'
import type { AuditStore, NodeAuditStore, Page } from './stores.ts'
import { type Plain, purgeAt, readAs, type Table, timeKey } from './table.ts'

/** `day` is yyyy-mm-dd, in UTC. */
const partition = (day: string): string => `AUDIT#${day}`
/** The only lists of the audit that a node's policy lets it write (cdk/lib/data/table-access.ts). */
const nodePartition = (day: string): string => `NODE-AUDIT#${day}`
const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 'yyyy-mm-dd'.length)

export function auditStore(table: Table): AuditStore {
  return {
    add: (call) => add(table, partition, call),

    async list(day, call) {
      const [own, nodes] = await Promise.all([table.page(partition(day), call), table.page(nodePartition(day), call)])
      const { items, next } = merged(own, nodes, call.limit)
      return { items: items.map((row) => entryOf(row, day)), ...(next !== undefined && { next }) }
    },
  }
}

export const nodeAuditStore = (table: Table): NodeAuditStore => ({
  add: (call) => add(table, nodePartition, call),
})

async function add(
  table: Table,
  partitionOf: (day: string) => string,
  { now, newId, ...entry }: Parameters<AuditStore['add']>[0],
): Promise<void> {
  const key = { pk: partitionOf(dayOf(now)), sk: timeKey(now, newId()) }
  await table.put({ ...key, ...entry, at: now, purgeAt: purgeAt(now + AUDIT_PURGE_AFTER_MS) })
}

/** The first `limit` rows of both lists in the order of their sort keys. Behind the end of a page its list may have rows that were not read. */
function merged(own: Page<Plain>, nodes: Page<Plain>, limit: number): Page<Plain> {
  const ends = [own.next, nodes.next].filter((end) => end !== undefined)
  // Of equal keys the control plane's row comes first, so that the row of a node cannot take its place on a page.
  const rows = [...own.items, ...nodes.items].sort((a, b) => compare(keyOf(a), keyOf(b)))
  const items = rows.filter((row) => ends.every((end) => keyOf(row) <= end)).slice(0, limit)
  const last = items.at(-1)
  const more = ends.length > 0 || items.length < rows.length
  return { items, ...(more && last !== undefined && { next: keyOf(last) }) }
}

const keyOf = (row: Plain): string => String(row.sk)
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** A node that was taken over may have written anything into its list: such a row is shown as unreadable, and hides no other. */
function entryOf(row: Plain, day: string): AuditEntry {
  if (row.pk === partition(day)) return readAs(auditSchema, row)
  const read = nodeAuditSchema.safeParse(row)
  if (read.success && dayOf(read.data.at) === day) return { ...read.data, reportedBy: 'node' }
  return { at: Date.parse(day), actor: '', action: 'unreadable', target: '', ip: '', result: '', reportedBy: 'node' }
}
