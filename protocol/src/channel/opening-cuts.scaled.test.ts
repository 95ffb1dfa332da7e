/** Peers that go away at every step of an opening, in every way: nothing of them may stay. */
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'
import v8 from 'node:v8'
import vm from 'node:vm'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { OpeningCeilings, openChannel } from './index.ts'
import { dial, OpeningRig, type RigTicket, turn } from './testing/opening-rig.ts'

vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.2'
})

const HEADER = Buffer.from('0d0a0d0a000d0a515549540a2111000c7f0000017f000001c0001b58', 'hex')
const ways = ['fin', 'rst', 'silence'] as const

v8.setFlagsFromString('--expose-gc')
const collectGarbage = vm.runInNewContext('gc') as () => void
const unhandled: unknown[] = []
const onUnhandled = (error: unknown): void => {
  unhandled.push(error)
}

beforeAll(() => {
  process.on('unhandledRejection', onUnhandled)
})
afterAll(() => {
  process.off('unhandledRejection', onUnhandled)
})

function cut(socket: net.Socket, way: (typeof ways)[number]): void {
  if (way === 'fin') socket.end()
  if (way === 'rst') socket.resetAndDestroy()
}

/** The first flight of a real agent that holds the ticket: whoever replays it gets as far as the server's own flight. */
async function clientHello(ticket: RigTicket): Promise<Buffer> {
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = once(server, 'connection')
  const client = tls.connect({
    socket: await dial((server.address() as net.AddressInfo).port),
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    ecdhCurve: 'X25519',
    pskCallback: () => ({ psk: ticket.encryptionKey, identity: ticket.workerId }),
  })
  client.on('error', () => {})
  const [peer] = (await connection) as [net.Socket]
  const [hello] = (await once(peer, 'data')) as [Buffer]
  client.destroy()
  server.close()
  return hello
}

/** Calls of the table that hang until the round is over. */
const hanging: (() => void)[] = []
const hang = (): Promise<never> =>
  new Promise((_resolve, reject) => hanging.push(() => reject(new TunnelFault('store-unavailable'))))

/** On a busy machine a deadline may come first; that peer is then one more that was cut. */
const dataOrEnd = (socket: net.Socket): Promise<unknown> =>
  Promise.race([once(socket, 'data'), new Promise((resolve) => socket.once('close', resolve))])

/** What a peer says before it goes. */
interface Step {
  readonly title: string
  act(rig: OpeningRig): Promise<net.Socket>
}

async function steps(rig: OpeningRig, ticket: RigTicket): Promise<Step[]> {
  const hello = await clientHello(ticket)
  const slow = 'its-look-up-hangs'
  rig.beforeFind = (workerId) => (workerId === slow ? hang() : Promise.resolve())
  rig.beforeConsume = hang
  const said = async (...spoken: (Buffer | string)[]): Promise<net.Socket> => {
    const socket = await dial(rig.port)
    socket.on('error', () => {})
    for (const bytes of spoken) socket.write(bytes)
    return socket
  }
  const answered = async (...spoken: Buffer[]): Promise<net.Socket> => {
    const socket = await said(HEADER, `${ticket.workerId}\n`)
    await dataOrEnd(socket)
    for (const bytes of spoken) socket.write(bytes)
    return socket
  }
  return [
    { title: 'connected', act: () => said() },
    { title: 'in the middle of the PROXY header', act: () => said(HEADER.subarray(0, 14)) },
    { title: 'behind the PROXY header', act: () => said(HEADER) },
    { title: 'in the middle of the id', act: () => said(HEADER, ticket.workerId.slice(0, 5)) },
    { title: 'during the look-up', act: () => said(HEADER, `${slow}\n`) },
    { title: 'behind the answer line', act: () => answered() },
    { title: 'in the middle of the ClientHello', act: () => answered(hello.subarray(0, 60)) },
    {
      title: 'behind the ServerHello',
      async act() {
        const socket = await answered(hello)
        await dataOrEnd(socket)
        return socket
      },
    },
    {
      title: 'during the consumption',
      async act() {
        const socket = await said(HEADER)
        await openChannel(socket, rig.issue(), { timeoutMs: 20_000 }).catch(() => {})
        return socket
      },
    },
  ]
}

test('a thousand peers cut by FIN, RST or silence at every step leave neither counters nor handles nor memory behind', {
  timeout: 300_000,
}, async () => {
  const ceilings = new OpeningCeilings({ perAddress: 2000 })
  const rig = new OpeningRig({ ceilings, proxyProtocol: 'required', timeoutMs: 1500 })
  await rig.listen()
  const ticket = rig.issue()
  const plan = (await steps(rig, ticket)).flatMap((step) => ways.map((way) => ({ ...step, way })))
  const codes = new Map<string, number>()
  let most = handles()

  const round = async (peers: number): Promise<void> => {
    const before = rig.connections
    const sockets: net.Socket[] = []
    while (sockets.length < peers) {
      // No more at once than fit the kernel's queue of connections that are not accepted yet.
      const steps = Array.from(
        { length: Math.min(100, peers - sockets.length) },
        (_, i) => plan[(sockets.length + i) % plan.length]!,
      )
      const wave = await Promise.all(steps.map((step) => step.act(rig)))
      sockets.push(...wave)
      while (rig.connections < before + sockets.length) await turn()
      for (const [i, socket] of wave.entries()) cut(socket, steps[i]!.way)
    }
    most = handles()
    for (let i = 0; i < peers; i += 1) {
      const { code } = await rig.refused()
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }
    for (const socket of sockets) socket.destroy()
    while (rig.sockets.size > 0) await turn()
    for (const settle of hanging.splice(0)) settle()
    rig.tickets.clear()
    rig.tickets.set(ticket.workerId, ticket)
  }

  const base = await afterRest()
  await round(plan.length * 4)
  const warm = await afterRest()
  await round(1000)
  const end = await afterRest()

  expect([ceilings.total, ceilings.addresses]).toEqual([0, 0])
  expect(most.TCPSocketWrap).toBeGreaterThan(100)
  expectNoMore(end.resources, base.resources)
  expect(end.heap - warm.heap).toBeLessThan(1_500_000)
  expect([...codes.keys()].sort()).toEqual(['channel-lost', 'opening-timeout', 'proxy-header-invalid'])
  expect(rig.consumed).toEqual([])
  expect(unhandled).toEqual([])
  await rig.stop()
})

type Handles = Record<'TCPSocketWrap' | 'Timeout', number>

/** Sockets and timers of this process. */
function handles(): Handles {
  const counted: Handles = { TCPSocketWrap: 0, Timeout: 0 }
  for (const name of process.getActiveResourcesInfo())
    if (name === 'TCPSocketWrap' || name === 'Timeout') counted[name] += 1
  return counted
}

/** The test runner has timers of its own, which may have gone meanwhile. */
function expectNoMore(end: Handles, base: Handles): void {
  expect(end.TCPSocketWrap).toBe(base.TCPSocketWrap)
  expect(end.Timeout).toBeLessThanOrEqual(base.Timeout)
}

/** Handles, and the heap in bytes, once everything that was about to end has ended. */
async function afterRest(): Promise<{ resources: Handles; heap: number }> {
  for (let i = 0; i < 20; i += 1) await turn()
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return { resources: handles(), heap: heapUsed + external }
}

test('an agent whose server is cut by FIN, RST or silence at every step ends with one fault and no socket', {
  timeout: 300_000,
}, async () => {
  const says: ((socket: net.Socket) => void)[] = [
    () => {},
    (socket) => socket.write('{"ok":tr'),
    (socket) => socket.write('{"ok":true,"taskId":"t"}\n'),
    (socket) => socket.write('{"ok":false,"fault":"server-bu'),
  ]
  const plan = says.flatMap((say) => ways.map((way) => ({ say, way })))
  let accepted = 0
  const server = net.createServer((socket) => {
    const { say, way } = plan[accepted % plan.length]!
    accepted += 1
    socket.on('error', () => {})
    socket.once('data', () => {
      say(socket)
      // What was said reaches the agent first; a reset in the same turn would overtake it.
      setImmediate(() => cut(socket, way))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const ticket = { workerId: 'some-id', encryptionKeyText: '11'.repeat(32) }
  const base = await afterRest()
  const sockets: net.Socket[] = []
  while (sockets.length < 300) sockets.push(await dial(port))
  const codes = await Promise.all(
    sockets.map(async (socket) => {
      const fault = (await openChannel(socket, ticket, { timeoutMs: 1500 }).catch((error) => error)) as TunnelFault
      expect(socket.destroyed).toBe(true)
      return fault.code
    }),
  )
  expect([...new Set(codes)].sort()).toEqual(['channel-lost', 'opening-timeout'])
  expect(codes.filter((code) => code === 'opening-timeout').length).toBeGreaterThanOrEqual(100)
  expectNoMore((await afterRest()).resources, base.resources)
  expect(unhandled).toEqual([])
  server.close()
})

test('a peer that hears its refusal and never closes is cut off after the grace', async () => {
  const rig = new OpeningRig()
  const port = await rig.listen()
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  socket.write('nobody-knows-this-one\n')
  await once(socket.resume(), 'end')
  expect((await rig.refused()).code).toBe('ticket-refused')
  while (rig.sockets.size > 0) await turn()
  socket.destroy()
  await rig.stop()
})
