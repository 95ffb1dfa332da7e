/** Answers of peers that reset the connection without having read all of it, by TCP and by TLS. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { FailedWrites } from './failed-writes.ts'

const ANSWER = 'a'.repeat(30_000)
const KEY = { psk: Buffer.alloc(32, 7), identity: 'test' }
const PSK = {
  ciphers: 'PSK-AES256-GCM-SHA384',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  allowHalfOpen: true,
} as const

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

/** A pair of sockets; the peer's reads nothing, so that its end is a reset. */
const WAYS: Record<string, () => Promise<{ socket: Socket; peer: Socket }>> = {
  TCP: () =>
    pair(createServer({ pauseOnConnect: true }), 'connection', (port) =>
      connect({ port, host: '127.0.0.1', allowHalfOpen: true }),
    ),
  TLS: () =>
    pair(createTlsServer({ ...PSK, pskCallback: () => KEY.psk }), 'secureConnection', (port) =>
      connectTls({
        ...PSK,
        port,
        host: '127.0.0.1',
        pskCallback: () => KEY,
        checkServerIdentity: () => undefined,
      }),
    ),
}

async function pair(server: Server, event: string, open: (port: number) => Socket) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = open((server.address() as AddressInfo).port)
  const [peer] = (await once(server, event)) as [Socket]
  peer.on('error', () => {})
  socket.on('error', () => {})
  cleanups.push(() => {
    socket.destroy()
    peer.destroy()
    server.close()
  })
  return { socket, peer }
}

describe.each(Object.entries(WAYS))('%s', (way, open) => {
  const leaving: [string, boolean, (peer: Socket) => void][] = [
    ['resets the connection', true, (peer) => void peer.write(ANSWER, () => peer.resetAndDestroy())],
    ['ends, and then resets the connection', false, (peer) => void peer.end(ANSWER, () => peer.destroy())],
  ]
  // Node resets no socket of TLS (resetAndDestroy: ERR_INVALID_HANDLE_TYPE).
  test.each(leaving.filter(([, cut]) => way === 'TCP' || !cut))(
    'what a peer sent before it %s is read although a write has failed',
    async (_how, cut, leave) => {
      const { socket, peer } = await open()
      const writes = new FailedWrites(socket)
      socket.pause()
      await new Promise((resolve) => socket.write('never read', resolve))
      leave(peer)
      await once(peer, 'close')
      // It fails, and those behind it are not tried.
      for (let time = 0; time < 3; time++) await new Promise((resolve) => socket.write('more', resolve))
      let got = ''
      socket.on('data', (chunk: Buffer) => {
        got += chunk
      })
      await once(socket.resume(), 'close')
      expect(got).toBe(ANSWER)
      expect(writes.cut).toBe(cut)
    },
  )
})
