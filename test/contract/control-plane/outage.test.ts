import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { createApp, Grants } from '@postern/control-plane'
import { problemSchema } from '@postern/protocol/api'
import { CONTROL_CALL_TIMEOUT_MS, STORE_REQUEST_TIMEOUT_MS } from '@postern/protocol/limits'
import { createDynamoClient, openStore } from '@postern/protocol/store'
import { newDeploymentSecret, newToken, parseDeploymentKeys } from '@postern/protocol/ticket'
import { afterEach, expect, test } from 'vitest'
import { freePort } from '../../support/free-port.ts'

const ATTEMPTS = 3

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** A control plane whose table is at `port`. */
function controlPlane(port: number) {
  const client = createDynamoClient({ endpoint: `http://127.0.0.1:${port}` })
  undo.push(client.destroy)
  const stores = openStore({ tableName: 'none', client })
  const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
  return createApp({
    ...{ stores, keys, grants: new Grants({ keys, stores, now: Date.now }) },
    random: randomBytes,
    now: Date.now,
    sourceIp: () => '192.0.2.1',
    log: () => {},
    settings: {
      ...{ base: 'example.com', publicUrl: 'https://{subdomain}.example.com', ipPolicy: 'observed' },
      ...{ channelHost: 'channel.example.com', channelPort: 7000 },
    },
  })
}

/** Connections that came to the silent port. */
let silences = 0

/** Takes connections and says nothing. */
async function silentPort(): Promise<number> {
  silences = 0
  const sockets = new Set<Socket>()
  const server = net.createServer((socket) => {
    silences += 1
    sockets.add(socket.on('error', () => {}))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  undo.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const ticket = (bearer: string) => ({
  method: 'POST',
  headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
  body: JSON.stringify({ username: 'ann', subdomain: 'demo' }),
})

async function expectUnavailable(port: number): Promise<void> {
  const app = controlPlane(port)
  const response = await app.request('/v1/tickets', ticket(newToken('user', randomBytes).reveal()))
  expect(response.status).toBe(503)
  expect(problemSchema.parse(await response.json()).code).toBe('store-unavailable')
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect((await app.request('/healthz')).status).toBe(200)
}

test('a table that refuses connections is 503 with Retry-After', async () => {
  await expectUnavailable(await freePort())
})

test('so is one that never answers, and it is given up while the caller still waits', { timeout: 60_000 }, async () => {
  await expectUnavailable(await silentPort())
  expect(silences).toBe(ATTEMPTS)
  expect(ATTEMPTS * STORE_REQUEST_TIMEOUT_MS).toBeLessThan(CONTROL_CALL_TIMEOUT_MS)
})

test('who is mistyped is told so even then', async () => {
  const app = controlPlane(await freePort())
  const response = await app.request('/v1/tickets', ticket('pst_mistyped'))
  expect([response.status, problemSchema.parse(await response.json()).code]).toEqual([401, 'token-malformed'])
})
