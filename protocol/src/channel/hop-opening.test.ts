import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { newDeploymentSecret, parseDeploymentKeys } from '../ticket/deployment-keys.ts'
import { acceptHop, openHop } from './hop-opening.ts'
import { secureAgent } from './secure.ts'

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

const keysOf = (text = newDeploymentSecret(randomBytes)) => parseDeploymentKeys(text)
const self = { taskId: 'task-1', bootId: '8c5e2b0a-0000-4000-8000-000000000001' }

/** Two ends of a TCP connection. */
async function sockets(): Promise<[caller: Socket, listener: Socket]> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const caller = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [listener] = await accepted
  cleanups.push(() => {
    caller.destroy()
    listener.destroy()
    server.close()
  })
  return [caller, listener]
}

test('two tasks with the same key reach one another, and the one that listens hears who calls', async () => {
  const keys = keysOf()
  const [caller, listener] = await sockets()
  const [opened, { socket, peer }] = await Promise.all([openHop(caller, self, keys), acceptHop(listener, keys)])
  expect(peer).toEqual(self)
  opened.write('ping')
  socket.resume()
  expect((await once(socket, 'data'))[0].toString()).toBe('ping')
})

test('another key opens nothing, and neither end keeps its socket', async () => {
  const [caller, listener] = await sockets()
  const outcomes = await Promise.allSettled([openHop(caller, self, keysOf()), acceptHop(listener, keysOf())])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect([caller.destroyed, listener.destroyed]).toEqual([true, true])
})

test('a key that is only accepted still lets its callers in, so that keys can be rotated', async () => {
  const [older, newer] = [randomBytes(32).toString('hex'), randomBytes(32).toString('hex')]
  const before = keysOf(JSON.stringify({ current: older, accepted: [newer] }))
  const after = keysOf(JSON.stringify({ current: newer, accepted: [older] }))
  for (const [calls, listens] of [
    [before, after],
    [after, before],
  ] as const) {
    const [caller, listener] = await sockets()
    const [, { peer }] = await Promise.all([openHop(caller, self, calls), acceptHop(listener, listens)])
    expect(peer).toEqual(self)
  }
})

test.each([
  ['nothing', (): void => {}],
  ['HTTP', (socket: Socket) => void socket.write('GET / HTTP/1.1\r\nHost: demo.example.com\r\n\r\n')],
  ['a FIN', (socket: Socket) => void socket.end()],
  ['a reset', (socket: Socket) => void socket.resetAndDestroy()],
  ['random bytes', (socket: Socket) => void socket.write(randomBytes(4096))],
])('whoever connects and sends %s is dropped', async (_, act) => {
  const [caller, listener] = await sockets()
  caller.on('error', () => {})
  const accepting = acceptHop(listener, keysOf(), { timeoutMs: 200 })
  act(caller)
  await expect(accepting).rejects.toThrow()
  expect(listener.destroyed).toBe(true)
})

test('an identity of another form has no key, whatever key it comes with', async () => {
  const keys = keysOf()
  for (const identity of [
    '',
    'hop',
    `hop:task-1:boot`,
    `hop:task-1:boot:${'0'.repeat(8)}`,
    `agent:${keys.current.id}`,
  ]) {
    const [caller, listener] = await sockets()
    const accepting = acceptHop(listener, keys, { timeoutMs: 500 })
    const { socket } = secureAgent(caller, identity, keys.current.subkey('hop'))
    socket.on('error', () => {})
    await expect(accepting).rejects.toThrow()
  }
})
