import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { createDynamoClient, openStore } from './index.ts'

const undo: (() => void)[] = []
afterEach(() => {
  for (const step of undo.splice(0)) step()
})

interface Asked {
  operation: string
  consistent: boolean
}

/** Stores on a table in which nothing is found, and what it was asked. */
async function emptyTable() {
  const asked: Asked[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const operation = String(request.headers['x-amz-target']).split('.')[1] ?? ''
    asked.push({ operation, consistent: JSON.parse(body).ConsistentRead === true })
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' }).end('{"Items":[],"Count":0}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = createDynamoClient({ endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  undo.push(
    () => client.destroy(),
    () => server.closeAllConnections(),
    () => server.close(),
  )
  return { stores: openStore({ tableName: 'postern', client }), asked }
}

// The tables that tests run on are always consistent: only the call itself shows what was asked for.
test('what somebody has just made is in every list: of strongly consistent queries', async () => {
  const { stores, asked } = await emptyTable()
  const call = { limit: 5 }
  await stores.tokens.list(call)
  await stores.tokens.listOf('ann', call)
  await stores.users.list(call)
  await stores.reservations.list(call)
  await stores.tunnels.list(call)
  await stores.audit.list('2027-01-15', call)
  expect(asked).toEqual(asked.map(() => ({ operation: 'Query', consistent: true })))
  // The audit is two lists.
  expect(asked).toHaveLength(7)
})

test("a user's names and single items are read strongly consistent", async () => {
  const { stores, asked } = await emptyTable()
  await stores.reservations.listOf('ann', { limit: 5 })
  await stores.reservations.find('demo')
  await stores.tokens.find('ab')
  await stores.tokens.findById('01J')
  await stores.users.find('ann')
  expect(asked).toEqual(asked.map(() => ({ operation: 'GetItem', consistent: true })))
  expect(asked).toHaveLength(5)
})
