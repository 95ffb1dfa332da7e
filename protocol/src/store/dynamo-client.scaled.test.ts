import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeAll, expect, test, vi } from 'vitest'

// The limits are read when their module is: 2 s become 200 ms.
vi.stubEnv('POSTERN_TIME_SCALE', '0.1')
const undo: (() => void)[] = []
afterEach(() => {
  for (const step of undo.splice(0)) step()
})

let door: typeof import('./index.ts')
beforeAll(async () => {
  door = await import('./index.ts')
})

/** Stores on a server that treats every call alike, and how often it was called. */
async function storesOn(answer: RequestListener) {
  let calls = 0
  const server = createServer((request, response) => {
    calls += 1
    request.resume()
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = door.createDynamoClient({ endpoint })
  undo.push(
    () => client.destroy(),
    () => server.closeAllConnections(),
    () => server.close(),
  )
  return { stores: door.openStore({ tableName: 'postern', client }), calls: () => calls }
}

const call = { idHash: 'ab', addressKey: '*', now: 1 }

const fail =
  (status: number, type: string): RequestListener =>
  (_, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' })
    response.end(JSON.stringify({ __type: `com.amazonaws.dynamodb.v20120810#${type}`, message: 'no' }))
  }

test('a read is tried three times, a consumption once', async () => {
  const failing = await storesOn(fail(500, 'InternalServerError'))
  await expect(failing.stores.tickets.find('ab')).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(failing.calls()).toBe(3)
  await expect(failing.stores.tickets.consume(call)).rejects.toMatchObject({ code: 'server-busy' })
  expect(failing.calls()).toBe(4)
})

test('a table that takes the call and never answers is given up', async () => {
  const silent = await storesOn(() => {})
  const start = performance.now()
  await expect(silent.stores.tickets.consume(call)).rejects.toMatchObject({ code: 'server-busy' })
  // The SDK by itself would wait for ever, and without the scale this is 2 s.
  expect(performance.now() - start).toBeLessThan(20_000)
  expect(silent.calls()).toBe(1)
})

test.each([
  [400, 'ProvisionedThroughputExceededException', 'store-unavailable'],
  [400, 'ResourceNotFoundException', 'store-unavailable'],
  [400, 'AccessDeniedException', 'store-unavailable'],
  [400, 'ValidationException', 'internal-error'],
])('%i %s is %s', async (status, type, code) => {
  const { stores } = await storesOn(fail(status, type))
  await expect(stores.tickets.find('ab')).rejects.toMatchObject({ code })
})

test('nobody listening is store-unavailable', async () => {
  const client = door.createDynamoClient({ endpoint: 'http://127.0.0.1:1' })
  undo.push(() => client.destroy())
  const { tickets } = door.openStore({ tableName: 'postern', client })
  await expect(tickets.find('ab')).rejects.toMatchObject({ code: 'store-unavailable', retryable: true })
})

test('an item that cannot be read names its fields and shows none of its values', async () => {
  const { stores } = await storesOn((_, response) => {
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.0' })
    response.end(JSON.stringify({ Item: { idHash: { S: 'ab' }, sealedKey: { N: '42' }, username: { S: 'canary' } } }))
  })
  const fault = await stores.tickets.find('ab').catch((error: unknown) => error)
  expect(fault).toMatchObject({ code: 'internal-error', detail: expect.stringContaining('sealedKey') })
  expect(String(fault)).not.toContain('canary')
})
