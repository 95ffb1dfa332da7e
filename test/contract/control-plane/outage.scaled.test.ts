import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { afterAll, afterEach, expect, test, vi } from 'vitest'

// Time limits are read once: a tenth of production's, so that three attempts of a silent table are 0.6 s.
vi.stubEnv('POSTERN_TIME_SCALE', '0.1')
const { createApp } = await import('@postern/control-plane')
const { problemSchema } = await import('@postern/protocol/api')
const { createDynamoClient, openStore } = await import('@postern/protocol/store')
const { newDeploymentSecret, newToken, parseDeploymentKeys } = await import('@postern/protocol/ticket')
const { randomBytes } = await import('node:crypto')
afterAll(() => vi.unstubAllEnvs())

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** A control plane whose table is at `port`. */
function controlPlane(port: number) {
  const client = createDynamoClient({ endpoint: `http://127.0.0.1:${port}` })
  undo.push(client.destroy)
  return createApp({
    stores: openStore({ tableName: 'none', client }),
    keys: parseDeploymentKeys(newDeploymentSecret(randomBytes)),
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

async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Takes connections and says nothing. */
async function silentPort(): Promise<number> {
  const sockets = new Set<Socket>()
  const server = net.createServer((socket) => {
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

test.each([
  ['refuses connections', closedPort],
  ['never answers', silentPort],
])('a table that %s is 503 with Retry-After, within seconds', async (_, place) => {
  const app = controlPlane(await place())
  const start = performance.now()
  const response = await app.request('/v1/tickets', ticket(newToken('user', randomBytes).reveal()))
  const took = performance.now() - start
  expect(response.status).toBe(503)
  expect(problemSchema.parse(await response.json()).code).toBe('store-unavailable')
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  // Three attempts of 0.2 s and the SDK's pauses between them come to a second; API Gateway gives up after 29.
  expect(took).toBeLessThan(20_000)
  expect((await app.request('/healthz')).status).toBe(200)
})

test('who is mistyped is told so even then', async () => {
  const app = controlPlane(await closedPort())
  const response = await app.request('/v1/tickets', ticket('pst_mistyped'))
  expect([response.status, problemSchema.parse(await response.json()).code]).toEqual([401, 'token-malformed'])
})
