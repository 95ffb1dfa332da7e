import net from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { OpeningCeilings, openChannel } from './index.ts'
import { OpeningRig, readAll } from './testing/opening-rig.ts'

const busy = expect.objectContaining({ code: 'server-busy' })

test('addresses of one IPv6 /64 share one ceiling, and another network has its own', () => {
  const ceilings = new OpeningCeilings({ perAddress: 2 })
  const leave = [ceilings.enterFrom('2001:db8:0:1::1'), ceilings.enterFrom('2001:db8:0:1:ffff::2')]
  expect(() => ceilings.enterFrom('2001:db8:0:1:8000:0:0:3')).toThrowError(busy)
  leave.push(ceilings.enterFrom('2001:db8:0:2::1'))
  expect(ceilings.addresses).toBe(2)
  for (const removal of leave) removal()
  expect(ceilings.addresses).toBe(0)
})

test('an IPv4 address is counted by itself, also where it comes as IPv6', () => {
  const ceilings = new OpeningCeilings({ perAddress: 1 })
  ceilings.enterFrom('192.0.2.1')
  ceilings.enterFrom('192.0.2.2')
  expect(() => ceilings.enterFrom('::ffff:192.0.2.1')).toThrowError(busy)
})

test('a zone makes no new client', () => {
  const ceilings = new OpeningCeilings({ perAddress: 1 })
  ceilings.enterFrom('fe80::1%eth0')
  expect(() => ceilings.enterFrom('fe80::1%eth1')).toThrowError(busy)
})

test('a removal that is repeated takes nobody else’s place away', () => {
  const ceilings = new OpeningCeilings({ perAddress: 2 })
  const leave = ceilings.enterFrom('2001:db8::1')
  ceilings.enterFrom('2001:db8::2')
  leave()
  leave()
  ceilings.enterFrom('2001:db8::3')
  expect(() => ceilings.enterFrom('2001:db8::4')).toThrowError(busy)
})

/** A PROXY header of a connection over IPv6 that ends in this number. */
function headerFrom(network: string, host: number): Buffer {
  const source = Buffer.alloc(16)
  source.write(network, 'hex')
  source.writeUInt16BE(host, 14)
  const signature = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
  return Buffer.concat([signature, Buffer.of(0x21, 0x21, 0, 36), source, source, Buffer.of(0, 1, 0, 2)])
}

const HOSTILE = '20010db800000001'
const HONEST = '20010db8ffff0001'

const sockets: net.Socket[] = []
let rig: OpeningRig | undefined
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await rig?.stop()
  rig = undefined
})

async function startRig(ceilings: OpeningCeilings): Promise<OpeningRig> {
  rig = new OpeningRig({ ceilings, proxyProtocol: 'required' })
  await rig.listen()
  return rig
}

/** A connection whose PROXY header says where it comes from. */
async function comeFrom({ port }: OpeningRig, network: string, host: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  sockets.push(socket)
  await new Promise<void>((resolve) => socket.write(headerFrom(network, host), () => resolve()))
  return socket
}

test('silent handshakes from every address of one /64 leave room for an agent of another network', async () => {
  const ceilings = new OpeningCeilings({ perTask: 100, perAddress: 20 })
  const rig = await startRig(ceilings)
  // None of them closes: what is beyond their share must not keep a place while it waits for that.
  for (let host = 1; host <= 300; host += 1) await comeFrom(rig, HOSTILE, host)
  const ticket = rig.issue({ allowedIps: new Set(['2001:db8:ffff:1::7']) })
  const { taskId, socket } = await openChannel(await comeFrom(rig, HONEST, 7), ticket)
  expect(taskId).toBe('task-1')
  socket.destroy()
})

test('a connection beyond the share of its address gets server-busy, whole, before it is closed', async () => {
  const rig = await startRig(new OpeningCeilings({ perAddress: 1 }))
  await comeFrom(rig, HOSTILE, 1)
  const second = await comeFrom(rig, HOSTILE, 2)
  expect(await readAll(second)).toBe('{"ok":false,"fault":"server-busy","retryAfterMs":2000}\n')
  expect(await rig.refused()).toEqual(busy)
})

test('the white list looks at the whole address: a neighbour in the same /64 is refused', async () => {
  const rig = await startRig(new OpeningCeilings())
  const ticket = rig.issue({ allowedIps: new Set(['2001:db8:ffff:1::7']) })
  const neighbour = await comeFrom(rig, HONEST, 8)
  neighbour.write(`${ticket.workerId}\n`)
  expect(await readAll(neighbour)).toContain('"ip-not-allowed","seenIp":"2001:db8:ffff:1::8"')
  const agent = await openChannel(await comeFrom(rig, HONEST, 7), ticket)
  agent.socket.destroy()
})
