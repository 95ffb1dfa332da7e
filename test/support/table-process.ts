/** The embedded table in a process of its own, so that the work of the table is not the work of the test. Knows nothing of what is in it. */
import type { EmbeddedTable } from '@postern/local/embedded-table'
import { startForked } from './forked.ts'

export async function startTableProcess(): Promise<EmbeddedTable> {
  const forked = startForked(new URL('./table-process-main.ts', import.meta.url))
  const place = await forked.ask<Pick<EmbeddedTable, 'endpoint' | 'tableName'>>('start')
  return { ...place, stop: () => forked.stop() }
}
