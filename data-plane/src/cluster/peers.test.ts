import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { TunnelFault } from '@postern/protocol/fault'
import {
  CHANNEL_AGE_MS,
  CHANNEL_WEAR_CHECK_MS,
  INITIAL_WINDOW_BYTES,
  REPLACED_CHANNEL_MS,
  UPGRADE_END_MS,
} from '@postern/protocol/limits'
import type { Task } from '@postern/protocol/store'
import { NodeKey } from '@postern/protocol/ticket'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { MemoryGuard } from '../channel/memory-guard.ts'
import type { Lease } from '../route/route.ts'
import { PeerPair } from '../testing/peer-pair.ts'

let pair: PeerPair
const cleanups: (() => void)[] = []

beforeEach(async () => {
  pair = await PeerPair.start()
})

afterEach(async () => {
  vi.useRealTimers()
  for (const cleanup of cleanups.splice(0)) cleanup()
  await pair.stop()
})

const asker = { visitorAddress: '192.0.2.1', requestId: 'r' }

/** By turns of the event loop: some of these tests hold its timers. */
async function inTurn(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('30 s passed without it')
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** The channel has grown old, and another one stands. */
async function replace(): Promise<void> {
  const reports = pair.reports.length
  pair.clock.ms += CHANNEL_AGE_MS
  pair.peers.sweep()
  await inTurn(() => pair.reports.length > reports)
  expect(pair.reports.slice(reports)).toEqual(['replaced'])
}

/** What comes back on a stream of which the test plays the local server. */
async function echo(lease: Lease, at: number, text: string): Promise<string> {
  const answered = new Promise<string>((resolve) => {
    lease.stream.listen({
      data: (chunk) => {
        lease.stream.consume(chunk.length)
        resolve(chunk.toString())
      },
      end: () => resolve('ended'),
      reset: ({ code }) => resolve(code),
      writable: () => {},
    })
  })
  const { stream } = pair.local.leases[at]!
  stream.received = ''
  lease.stream.write(Buffer.from(text))
  await stream.until(({ received }) => received === text)
  stream.answer(`${text} back`)
  return answered
}

test('a channel stays as long as it is young', async () => {
  const hop = pair.hop('demo')
  pair.clock.ms += CHANNEL_AGE_MS - 1
  pair.peers.sweep()
  expect([pair.hop('demo'), pair.peers.channels.size, pair.reports]).toEqual([hop, 1, []])
})

test('a channel that is old serves until another one stands, finishes what is open on it, and is then closed', async () => {
  const former = pair.routeTo('demo', 7)
  const lease = await pair.begin(former)
  await replace()
  expect([former.hop.open, pair.hop('demo').open, pair.peers.channels.size]).toEqual([false, true, 2])
  expect(await echo(lease, 0, 'more')).toBe('more back')
  // A request that was on its way to the former channel.
  const late = await pair.begin(former)
  const next = await pair.begin(pair.routeTo('demo', 7))
  lease.stream.reset()
  expect(await echo(late, 1, 'late')).toBe('late back')
  expect(pair.peers.channels.size).toBe(2)
  late.stream.reset()
  await inTurn(() => pair.peers.channels.size === 1)
  expect(() => former.lease('fresh', asker)).toThrow(expect.objectContaining({ code: 'channel-closed' }))
  expect(await echo(next, 2, 'next')).toBe('next back')
  expect([pair.peers.state(pair.task), pair.reports]).toEqual(['open', ['replaced']])
})

test('a channel without a stream is closed as soon as another one stands', async () => {
  await replace()
  await inTurn(() => pair.peers.channels.size === 1)
  expect(pair.peers.state(pair.task)).toBe('open')
})

test('one replacement is opened at a time, and is looked at anew only after CHANNEL_WEAR_CHECK_MS', async () => {
  pair.clock.ms += CHANNEL_AGE_MS
  for (let looks = 0; looks < 5; looks += 1) pair.peers.sweep()
  await inTurn(() => pair.reports.length > 0)
  await inTurn(() => pair.peers.channels.size === 1)
  expect(pair.reports).toEqual(['replaced'])
})

test('a channel whose replacement cannot be opened serves on, and another is tried later', async () => {
  const { server } = pair.holder
  const port = Number(pair.task.addr.split(':')[1])
  const former = pair.routeTo('demo', 7)
  const lease = await pair.begin(former)
  server.close()
  pair.clock.ms += CHANNEL_AGE_MS
  pair.peers.sweep()
  await inTurn(() => pair.reports.length > 0)
  expect([pair.reports, pair.peers.state(pair.task)]).toEqual([['not replaced channel-lost'], 'open'])
  expect(await echo(lease, 0, 'more')).toBe('more back')
  expect(await echo(await pair.begin(former), 1, 'new')).toBe('new back')
  pair.clock.ms += CHANNEL_WEAR_CHECK_MS - 1
  pair.peers.sweep()
  expect(former.hop.open).toBe(true)
  await new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(undefined)))
  pair.clock.ms += 1
  pair.peers.sweep()
  await inTurn(() => pair.reports.length > 1)
  expect([pair.reports[1], former.hop.open, pair.hop('demo').open]).toEqual(['replaced', false, true])
  lease.stream.reset()
})

test('what is open on a replaced channel has REPLACED_CHANNEL_MS; then it is ended, and the channel closed', async () => {
  const former = pair.routeTo('demo', 7)
  const lease = await pair.begin(former)
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  pair.clock.ms += CHANNEL_AGE_MS
  pair.peers.sweep()
  await inTurn(() => pair.reports.length > 0)
  // The other end has accepted the next channel, and waits for nothing any more.
  await pair.begin(pair.routeTo('demo', 7))
  vi.advanceTimersByTime(REPLACED_CHANNEL_MS - 1)
  expect(pair.ending).toEqual([])
  vi.advanceTimersByTime(1)
  expect(pair.ending).toEqual([former])
  const over = new Promise<string>((resolve) => {
    lease.stream.listen({ data() {}, end: () => resolve('ended'), reset: ({ code }) => resolve(code), writable() {} })
  })
  vi.advanceTimersByTime(UPGRADE_END_MS)
  vi.useRealTimers()
  expect(await over).toBe('channel-closed')
  await inTurn(() => pair.peers.channels.size === 1)
  expect(pair.peers.state(pair.task)).toBe('open')
})

/** A server on a port of its own that does so much with each connection. */
async function elsewhere(accept: (socket: Socket) => void): Promise<Task> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}))
    accept(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const addr = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return { ...pair.task, taskId: 'elsewhere', addr }
}

test.each([
  ['hangs up', (socket: Socket) => void socket.end(), 'foreign'],
  ['answers something else', (socket: Socket) => void socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'), 'foreign'],
  ['resets the connection', (socket: Socket) => void socket.resetAndDestroy(), 'gone'],
  ['sends nothing', () => {}, 'silent'],
])('an address whose process %s', async (_what, accept, how) => {
  const task = await elsewhere(accept)
  await pair.peers.reach(task)
  expect([pair.peers.state(task), pair.reports, pair.opened]).toEqual([how, [how], ['holder']])
})

test('an address where nobody listens, or that is not one, or that is our own now', async () => {
  const task = await elsewhere(() => {})
  cleanups.pop()!()
  const none = { ...task, taskId: 'none', addr: '' }
  const own = { ...task, taskId: 'former', addr: 'asking:7100' }
  for (const each of [task, none, own]) await pair.peers.reach(each)
  expect([task, none, own].map((each) => pair.peers.state(each))).toEqual(['gone', 'silent', 'gone'])
})

test('the end of a replaced channel does not make its task suspect', async () => {
  await pair.begin(pair.routeTo('demo', 7))
  const former = [...pair.peers.channels][0]!
  await replace()
  await former.close()
  expect([pair.peers.state(pair.task), pair.reports]).toEqual(['open', ['replaced']])
})

test('a channel that ends while its replacement is being opened leaves one channel, though requests have asked for another', async () => {
  const [former] = pair.peers.channels
  pair.clock.ms += CHANNEL_AGE_MS
  pair.peers.sweep()
  const ended = former!.close()
  await pair.peers.reach(pair.task)
  await ended
  await inTurn(() => pair.opened.length === 3)
  await inTurn(() => pair.peers.channels.size === 1)
  expect(pair.peers.state(pair.task)).toBe('open')
  expect(await echo(await pair.begin(pair.routeTo('demo', 7)), 0, 'more')).toBe('more back')
})

/** Both ends hold what nobody takes: the visitors of a greedy tenant do not read, and its local server neither. */
async function stall(): Promise<{ readonly greedy: Lease; readonly modest: Lease }> {
  const [greedy, modest] = [await pair.begin(pair.routeTo('greedy', 1)), await pair.begin(pair.routeTo('modest', 2))]
  pair.local.leases[0]!.stream.write = () => false
  greedy.stream.write(Buffer.alloc(INITIAL_WINDOW_BYTES / 2))
  pair.local.leases[0]!.stream.answer('x'.repeat(INITIAL_WINDOW_BYTES / 2))
  const held = (shares: Iterable<{ tenant: string; heldBytes: number }>) =>
    Object.fromEntries([...shares].map(({ tenant, heldBytes }) => [tenant, heldBytes >= INITIAL_WINDOW_BYTES / 2]))
  const calling = (): Record<string, boolean> => held([...pair.peers.channels].flatMap(({ shares }) => [...shares]))
  await inTurn(() => calling().greedy === true && held(pair.holder.shares).greedy === true)
  expect([calling(), held(pair.holder.shares)]).toEqual([
    { greedy: true, modest: false },
    { greedy: true, modest: false },
  ])
  return { greedy, modest }
}

test.each(['calls', 'holds'] as const)(
  'short of memory, the node that %s refuses the greediest tenant new streams, and nobody else on the same channel',
  async (side) => {
    await stall()
    const holders = () => (side === 'calls' ? [...[...pair.peers.channels][0]!.shares] : [...pair.holder.shares])
    const guard = new MemoryGuard({ holders, memoryLimit: INITIAL_WINDOW_BYTES * 0.9, reset: () => {} })
    guard.check()
    const outcome = async (name: string): Promise<string> => {
      const route = pair.routeTo(name, 1)
      try {
        const lease = route.lease('fresh', asker)
        const began = pair.local.leases.length
        const refused = new Promise<string>((resolve) => {
          const reset = (): void => resolve(lease.failure()?.fault.code ?? 'reset')
          lease.stream.listen({ data() {}, end() {}, reset, writable() {} })
        })
        lease.stream.write(Buffer.from('request'))
        return await Promise.race([refused, pair.local.leased(began).then(() => 'taken')])
      } catch (error) {
        return (error as TunnelFault).code
      }
    }
    expect([await outcome('greedy'), await outcome('modest'), await outcome('third')]).toEqual([
      'streams-exhausted',
      'taken',
      'taken',
    ])
  },
)

test('far too short of memory, a stalled stream of the greediest tenant is reset, and no other', async () => {
  const { greedy, modest } = await stall()
  const lost: string[] = []
  for (const [name, lease] of Object.entries({ greedy, modest }))
    lease.stream.listen({ data() {}, end() {}, reset: ({ code }) => lost.push(`${name} ${code}`), writable() {} })
  const guard = new MemoryGuard({
    holders: () => [...[...pair.peers.channels][0]!.shares],
    memoryLimit: INITIAL_WINDOW_BYTES / 4,
    reset: (share) => lost.push(`stream of ${share.tenant}`),
  })
  guard.check()
  expect(lost).toEqual(['greedy stream-reset', 'stream of greedy'])
  expect(await echo(modest, 1, 'more')).toBe('more back')
})

test('a node that listens at the address of another process, with the key of the deployment, gets no request for it', async () => {
  const meant = { ...pair.task, bootId: new NodeKey().bootId }
  await pair.peers.reach(meant)
  expect([pair.peers.state(meant), pair.peers.channel(meant, 'demo')]).toEqual(['foreign', undefined])
  expect([pair.reports, pair.opened]).toEqual([['foreign'], ['holder']])
})
