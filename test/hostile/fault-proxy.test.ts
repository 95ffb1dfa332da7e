/** The faults that experiments put between two ends, each seen from both. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bandwidth } from '../support/fault-proxy/bandwidth.ts'
import type { Fault } from '../support/fault-proxy/fault.ts'
import { FaultProxy } from '../support/fault-proxy/fault-proxy.ts'
import { latency } from '../support/fault-proxy/latency.ts'
import { limitData } from '../support/fault-proxy/limit-data.ts'
import { reset } from '../support/fault-proxy/reset.ts'
import { slicer } from '../support/fault-proxy/slicer.ts'
import { slowClose } from '../support/fault-proxy/slow-close.ts'
import { timeout } from '../support/fault-proxy/timeout.ts'
import { RawConnection } from '../support/raw-connection.ts'

let server: Server
let accepted: RawConnection[]
let clients: RawConnection[]
let proxy: FaultProxy | undefined
beforeEach(async () => {
  accepted = []
  clients = []
  server = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    accepted.push(new RawConnection(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(async () => {
  await proxy?.stop()
  for (const connection of [...accepted, ...clients]) connection.close()
  server.close()
})

/** Both ends of a connection whose bytes to the client meet these faults. */
async function ends(...toClient: Fault[]): Promise<{ client: RawConnection; far: RawConnection }> {
  proxy = await FaultProxy.start((server.address() as AddressInfo).port, { toClient })
  const arrived = once(server, 'connection')
  const client = await RawConnection.open(proxy.port)
  clients.push(client)
  await arrived
  return { client, far: accepted[0]! }
}

test('without a fault bytes and ends pass, each direction by itself', async () => {
  const { client, far } = await ends()
  client.end('question')
  await far.saw('question')
  expect(await far.over()).toBe('ended')
  far.end('answer')
  await client.saw('answer')
  expect(await client.over()).toBe('ended')
  await expect.poll(() => proxy!.connections).toBe(0)
})

test('a reset passes as a reset, in both directions', async () => {
  const { client, far } = await ends()
  far.reset()
  expect(await client.over()).toBe('cut')
  const [again, arrived] = [await RawConnection.open(proxy!.port), once(server, 'connection')]
  await arrived
  again.reset()
  expect(await accepted[1]!.over()).toBe('cut')
})

test('latency: all of it, the end too, comes so much later and in order', async () => {
  const { client, far } = await ends(latency(100))
  const sent = performance.now()
  far.write('a')
  far.end('b')
  await client.saw('ab')
  expect(await client.over()).toBe('ended')
  expect(client.arrivals[0]!.at - sent).toBeGreaterThanOrEqual(98)
  expect(client.endedAt - sent).toBeGreaterThanOrEqual(98)
})

test('bandwidth: a second’s worth takes a second', async () => {
  const { client, far } = await ends(bandwidth(200_000))
  const sent = performance.now()
  far.end(Buffer.alloc(60_000))
  expect(await client.over()).toBe('ended')
  expect(client.length).toBe(60_000)
  expect(client.endedAt - sent).toBeGreaterThanOrEqual(280)
})

test('slicer: many segments of what was one', async () => {
  const { client, far } = await ends(slicer(1))
  far.end('a hundred bytes would be a hundred segments')
  expect(await client.over()).toBe('ended')
  expect(client.text).toBe('a hundred bytes would be a hundred segments')
  // The reader may find many of them together, the more the slower it is; it never finds them all.
  expect(client.arrivals.length).toBeGreaterThan(1)
})

test('limit-data: the bytes before the limit, then a FIN for both', async () => {
  const { client, far } = await ends(limitData(5))
  far.write('1234567')
  expect(await client.over()).toBe('ended')
  expect(client.text).toBe('12345')
  expect(await far.over()).not.toBe('open')
})

test('slow-close: the end comes so much later than the rest', async () => {
  const { client, far } = await ends(slowClose(100))
  const sent = performance.now()
  far.end('all')
  await client.saw('all')
  expect(client.ending).toBe('open')
  expect(await client.over()).toBe('ended')
  expect(client.endedAt - sent).toBeGreaterThanOrEqual(98)
})

test('timeout: nothing comes, then a FIN for both', async () => {
  const { client, far } = await ends(timeout(100))
  far.write('never')
  expect(await client.over()).toBe('ended')
  expect(client.length).toBe(0)
  expect(await far.over()).not.toBe('open')
})

test('reset: bytes come, then a RST for both', async () => {
  const { client, far } = await ends(reset(100))
  far.write('before')
  await client.saw('before')
  expect(await client.over()).toBe('cut')
  expect(await far.over()).toBe('cut')
})
