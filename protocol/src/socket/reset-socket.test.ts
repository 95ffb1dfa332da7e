import { once } from 'node:events'
import net from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { resetSocket } from './reset-socket.ts'

let server: net.Server
let peers: net.Socket[]
beforeEach(async () => {
  peers = []
  server = net.createServer({ allowHalfOpen: true }, (socket) => {
    peers.push(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => {
  for (const peer of peers) peer.destroy()
  server.close()
})

const dial = (): net.Socket => {
  const { port } = server.address() as net.AddressInfo
  return net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
}

/** Both ends of a connection. */
async function ends(): Promise<{ socket: net.Socket; peer: net.Socket }> {
  const [socket, accepted] = [dial(), once(server, 'connection')]
  await Promise.all([once(socket, 'connect'), accepted])
  return { socket, peer: peers[0]! }
}

/** Behind an end, and on Node 20 also behind data, a reset shows only to a peer that writes. */
async function seesReset(peer: net.Socket): Promise<void> {
  peer.resume()
  const failed = once(peer, 'error')
  peer.on('end', () => {
    const probe = (): void => void peer.write('x', (error) => error ?? setImmediate(probe))
    probe()
  })
  const [error] = await failed
  expect(['ECONNRESET', 'EPIPE']).toContain(error.code)
}

test('an open connection is reset', async () => {
  const { socket, peer } = await ends()
  const closed = once(socket, 'close')
  resetSocket(socket)
  await Promise.all([closed, seesReset(peer)])
})

test('a connection whose end was asked for in the same turn is reset and closed', async () => {
  const { socket, peer } = await ends()
  const failures: unknown[] = []
  socket.on('error', (error) => failures.push(error))
  socket.end()
  const closed = once(socket, 'close')
  resetSocket(socket)
  await Promise.all([closed, seesReset(peer)])
  expect(failures).toEqual([])
})

test('nothing that comes meanwhile is read', async () => {
  const { socket, peer } = await ends()
  const read: string[] = []
  socket.on('data', (chunk) => read.push(String(chunk)))
  peer.write('late')
  socket.end()
  resetSocket(socket)
  await once(socket, 'close')
  expect(read).toEqual([])
})

test('a connection that has ended is reset', async () => {
  const { socket, peer } = await ends()
  socket.end()
  await once(socket, 'finish')
  const closed = once(socket, 'close')
  resetSocket(socket)
  await Promise.all([closed, seesReset(peer)])
})

test('a connection whose end waits behind bytes that the peer does not read is reset at once', async () => {
  const { socket, peer } = await ends()
  socket.write(Buffer.alloc(64 * 1024 * 1024))
  socket.end()
  const closed = once(socket, 'close')
  resetSocket(socket)
  expect(socket.destroyed).toBe(true)
  await Promise.all([closed, seesReset(peer)])
})

test('a connection that is still being made, and is to end, is closed', async () => {
  const socket = dial()
  socket.on('error', () => {})
  socket.end()
  resetSocket(socket)
  await once(socket, 'close')
})

test('a connection that has gone is left alone', async () => {
  const { socket } = await ends()
  socket.destroy()
  await once(socket, 'close')
  socket.on('error', (error) => expect.unreachable(error.message))
  resetSocket(socket)
  resetSocket(socket)
})
