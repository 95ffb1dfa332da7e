import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { createOpsServer } from './ops-server.ts'

/** What the network load balancer sends before its checks: LOCAL, IPv4, and a block that must be skipped. */
const LOCAL = Buffer.concat([
  Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'),
  Buffer.from([0x20, 0x11, 0x00, 0x54, 0x03, 0x00, 0x04]),
  Buffer.alloc(81),
])
const PAGE = { contentType: 'text/plain; version=0.0.4', text: async () => 'postern_tunnels 3\n' }

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

async function start(ready = true): Promise<number> {
  const ops = createOpsServer({ ready: () => ready, metrics: PAGE })
  ops.server.listen(0, '127.0.0.1')
  await once(ops.server, 'listening')
  cleanups.push(() => ops.stop())
  return (ops.server.address() as AddressInfo).port
}

async function ask(port: number, pieces: readonly (Buffer | string)[]): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  for (const piece of pieces) await new Promise((resolve) => socket.write(piece, resolve))
  return (await text(socket)).split('\r\n')[0]!
}

const check = (path: string) => `GET ${path} HTTP/1.1\r\nHost: task\r\n\r\n`

test.each([
  ['with the header of the balancer', [LOCAL, check('/readyz')]],
  ['with header and request in one segment', [Buffer.concat([LOCAL, Buffer.from(check('/readyz'))])]],
  [
    'with the header in two pieces',
    [LOCAL.subarray(0, 9), Buffer.concat([LOCAL.subarray(9), Buffer.from(check('/readyz'))])],
  ],
  ['without it, as the container asks', [check('/readyz')]],
  ['byte by byte', [...check('/readyz')]],
])('a check %s is answered', async (_how, pieces) => {
  expect(await ask(await start(), pieces)).toBe('HTTP/1.1 200 OK')
})

test('a task that drains is alive and not ready', async () => {
  const port = await start(false)
  expect(await ask(port, [LOCAL, check('/readyz')])).toBe('HTTP/1.1 503 Service Unavailable')
  expect(await ask(port, [LOCAL, check('/healthz')])).toBe('HTTP/1.1 200 OK')
})

test('it stops while somebody is silent', async () => {
  const ops = createOpsServer({ ready: () => true, metrics: PAGE })
  ops.server.listen(0, '127.0.0.1')
  await once(ops.server, 'listening')
  const silent = net.connect((ops.server.address() as AddressInfo).port, '127.0.0.1')
  silent.on('error', () => {})
  await once(ops.server, 'connection')
  const gone = once(silent, 'close')
  await ops.stop()
  await gone
})

test('metrics are there for whoever asks, with the type that Prometheus expects', async () => {
  const response = await fetch(`http://127.0.0.1:${await start()}/metrics`)
  expect(response.headers.get('content-type')).toBe(PAGE.contentType)
  expect(await response.text()).toBe('postern_tunnels 3\n')
})
