/** The process of `table-process.ts`. */
import { startEmbeddedTable } from '@postern/local/embedded-table'

process.once('message', async () => {
  const { endpoint, tableName } = await startEmbeddedTable()
  process.send!({ endpoint, tableName })
})
process.on('disconnect', () => process.exit())
