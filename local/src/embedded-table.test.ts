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

/** What goes out of the process from now on. */
function heedUncaught(): unknown[] {
  const uncaught: unknown[] = []
  const note = (error: unknown) => uncaught.push(error)
  process.on('uncaughtExceptionMonitor', note)
  undo.push(() => process.off('uncaughtExceptionMonitor', note))
  return uncaught
}

/** The bytes of a request that the embedded table takes, which checks no signature. */
function putItem(input: object): string {
  const body = JSON.stringify(input)
  const head = [
    'POST / HTTP/1.1',
    'Host: table',
    'Content-Type: application/x-amz-json-1.0',
    'X-Amz-Target: DynamoDB_20120810.PutItem',
    'X-Amz-Date: 20261127T000000Z',
    'Authorization: AWS4-HMAC-SHA256 Credential=a/20261127/local/dynamodb/aws4_request, SignedHeaders=host, Signature=0',
    `Content-Length: ${body.length}`,
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
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
  const unhandled = heedUncaught()
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

test('what comes while it stops, from clients that go at once, begins nothing', async () => {
  const unhandled = heedUncaught()
  for (let turns = 0; turns < 20; turns += 1) {
    const { table, stores } = await start({})
    const put = putItem({ TableName: table.tableName, Item: { pk: { S: 'late' }, sk: { S: 'late' } } })
    const sockets = Array.from({ length: 20 }, () => connect(Number(new URL(table.endpoint).port), '127.0.0.1'))
    for (const socket of sockets) socket.on('error', () => {})
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    // They are accepted once a later request is answered.
    await stores.users.find('nobody')
    for (const socket of sockets) socket.write(put)
    const stopped = table.stop()
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
    for (const socket of sockets) socket.resetAndDestroy()
    await stopped
  }
  expect(unhandled).toEqual([])
})

test('stopping twice is stopping once', async () => {
  const { table } = await start({})
  await Promise.all([table.stop(), table.stop()])
  await table.stop()
})
