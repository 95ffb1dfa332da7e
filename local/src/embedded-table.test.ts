import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDynamoClient, openStore, type Stores } from '@postern/protocol/store'
import { afterEach, expect, test } from 'vitest'
import { type EmbeddedTable, type EmbeddedTableOptions, startEmbeddedTable } from './embedded-table.ts'

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function start(options: EmbeddedTableOptions): Promise<{ table: EmbeddedTable; stores: Stores }> {
  const table = await startEmbeddedTable(options)
  const client = createDynamoClient({ endpoint: table.endpoint })
  undo.push(table.stop, client.destroy)
  return { table, stores: openStore({ tableName: table.tableName, client }) }
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'postern-table-'))
  undo.push(() => rm(path, { recursive: true }))
  return path
}

const ann = { username: 'ann', maxSubdomains: 2, maxTunnels: 2, createdAt: 1 }

test('a second start on the same folder finds what the first one stored', async () => {
  const path = await folder()
  const first = await start({ path })
  expect(await first.stores.users.create(ann)).toBe(true)
  await first.table.stop()
  const second = await start({ path })
  expect(await second.stores.users.find('ann')).toMatchObject({ username: 'ann', maxSubdomains: 2 })
})

test('without a folder nothing outlives the stop', async () => {
  const first = await start({})
  await first.stores.users.create(ann)
  await first.table.stop()
  const second = await start({})
  expect(await second.stores.users.find('ann')).toBeUndefined()
})

test('a folder that another start has open is refused by name, and the first one goes on', async () => {
  const path = await folder()
  const { stores } = await start({ path })
  await expect(startEmbeddedTable({ path })).rejects.toMatchObject({
    code: 'config-invalid',
    detail: expect.stringContaining(`${path} is in use`),
  })
  expect(await stores.users.create(ann)).toBe(true)
})

test('a port that is taken is said so', async () => {
  const { table } = await start({})
  const port = Number(new URL(table.endpoint).port)
  await expect(startEmbeddedTable({ port })).rejects.toMatchObject({ code: 'port-taken' })
})

test('it listens on 127.0.0.1 alone', async () => {
  const { table } = await start({})
  const socket = connect(Number(new URL(table.endpoint).port), '127.0.0.2')
  const [error] = await once(socket, 'error')
  expect(error).toMatchObject({ code: 'ECONNREFUSED' })
})

test('a client that is killed in the middle of a request ends nothing', async () => {
  const { table, stores } = await start({})
  const socket = connect(Number(new URL(table.endpoint).port), '127.0.0.1')
  socket.write('POST / HTTP/1.1\r\nhost: table\r\ncontent-length: 100\r\n\r\n{"half":')
  await once(socket, 'connect')
  // The server has seen the head once it answers a later request on another connection.
  await stores.users.find('nobody')
  socket.resetAndDestroy()
  await once(socket, 'close')
  expect(await stores.users.create(ann)).toBe(true)
})

test('what a client began that has gone is finished before the files are closed', async () => {
  const unhandled: unknown[] = []
  const note = (error: unknown) => unhandled.push(error)
  process.on('uncaughtExceptionMonitor', note)
  undo.push(() => process.off('uncaughtExceptionMonitor', note))
  for (let turns = 0; turns < 40; turns += 4) {
    const { table, stores } = await start({})
    const client = createDynamoClient({ endpoint: table.endpoint })
    const mine = openStore({ tableName: table.tableName, client })
    await stores.users.create(ann)
    const writes = Array.from({ length: 20 }, (_, i) =>
      mine.users.create({ ...ann, username: `u${i}` }).catch(() => {}),
    )
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
    client.destroy()
    for (const step of undo.splice(1).reverse()) await step()
    await Promise.all(writes)
  }
  expect(unhandled).toEqual([])
})

test('stopping twice is stopping once', async () => {
  const { table } = await start({})
  await Promise.all([table.stop(), table.stop()])
  await table.stop()
})
