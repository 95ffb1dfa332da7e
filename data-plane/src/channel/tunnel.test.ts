import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Subdomain } from '@postern/protocol/address'
import { acceptOpening, agentControlStream, Channel, openChannel, type ServerMessage } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import {
  CLOSE_GRACE_MS,
  FAULT_DETAIL_CHARACTERS,
  HEARTBEAT_MS,
  HOLD_MS,
  REPLACED_CHANNEL_MS,
  SILENCE_MS,
} from '@postern/protocol/limits'
import { WindowBudget } from '@postern/protocol/mux'
import { afterEach, expect, test, vi } from 'vitest'
import type { Claim } from './claim.ts'
import type { Parting } from './parting.ts'
import type { AgentTicket } from './ticket-host.ts'
import { Tunnel, type TunnelDeps } from './tunnel.ts'

const cleanups: (() => void | Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const now = () => performance.now()

const ticket: AgentTicket = {
  idHash: 'hash',
  username: 'ada',
  subdomain: 'demo' as Subdomain,
  reservationId: 'r',
  tokenHash: 't',
  tokenExpiresAt: Date.now() + 86_400_000,
  issuedAt: Date.now(),
  encryptionKey: randomBytes(32),
  expiresAt: Date.now() + 86_400_000,
  allowedIps: new Set(['*']),
}

/** Values that come one by one, to be waited for. */
class Inbox<T> {
  readonly all: T[] = []
  #wake = () => {}

  put(value: T): void {
    this.all.push(value)
    this.#wake()
  }

  async first(): Promise<T> {
    const deadline = Date.now() + 30_000
    while (this.all.length === 0) {
      if (Date.now() > deadline) throw new Error('nothing came')
      await Promise.race([
        new Promise<void>((resolve) => (this.#wake = resolve)),
        new Promise((resolve) => setTimeout(resolve, 100)),
      ])
    }
    return this.all[0]!
  }
}

/** A tunnel over a real channel, its agent, and what either of them heard. */
async function setup(claim: TunnelDeps['claim']) {
  const overs = new Inbox<{ fault: TunnelFault | undefined; release: TunnelFault | undefined }>()
  const said = new Inbox<ServerMessage>()
  const refusals: unknown[] = []
  const moves = new Inbox<string>()
  const channelEvents = new Inbox<string>()
  const published: string[] = []
  const partings: Parting[] = []
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => void server.close())

  const accepted = once(server, 'connection').then(async ([socket]) => {
    const opening = await acceptOpening(
      socket,
      {
        taskId: 'task',
        refusal: () => undefined,
        find: async () => ticket,
        addressKey: () => '*',
        observe: () => '',
        consume: async () => {},
        now: Date.now,
      },
      { proxyProtocol: 'off' },
    )
    return new Tunnel(opening, {
      taskId: 'task',
      budget: new WindowBudget(0),
      now,
      claim,
      publish: (tunnel) => {
        published.push(tunnel.subdomain)
        return (parting) => {
          published.pop()
          partings.push(parting)
        }
      },
      urlOf: (subdomain) => `http://${subdomain}.example.com`,
      newId: () => 'conn',
      events: {
        welcomed: () => {},
        refused: (fault, address) => refusals.push([fault.code, address]),
        streamCrashed: (_tunnel, { cause }) => expect.unreachable(String(cause)),
        moved: () => moves.put('moved'),
        lastStretchOver: () => moves.put('over'),
        over: (_tunnel, why) => overs.put(why),
      },
    })
  })
  const raw = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const { socket } = await openChannel(raw, {
    workerId: 'worker-0123456789',
    encryptionKeyText: Buffer.from(ticket.encryptionKey).toString('hex'),
  })
  const channel = new Channel({
    socket,
    side: 'agent',
    budget: new WindowBudget(0),
    now,
    peerStreams: 8,
    events: {
      goAway: () => channelEvents.put('goAway'),
      closed: () => channelEvents.put('closed'),
      lost: (fault) => channelEvents.put(fault.code),
    },
  })
  cleanups.push(() => channel.destroy(new TunnelFault('channel-closed')))
  const control = agentControlStream({
    stream: channel.openControlStream(),
    now,
    message: (message) => {
      said.put(message)
      if (message.type === 'revoked') channelEvents.put('revoked')
    },
    ended: () => {},
  })
  const hello = { type: 'hello', version: '1', instanceId: 'i', slot: 0, pool: false, rules: {} } as const
  return {
    tunnel: await accepted,
    control,
    channel,
    hello,
    overs,
    said,
    published,
    partings,
    channelEvents,
    moves,
    refusals,
    silence: () => socket.pause(),
  }
}

const granted = (released: string[] = []): Claim => ({
  epoch: 7,
  slot: 0,
  settle: async () => {},
  release: async () => void released.push('released'),
  relist: async () => void released.push('relisted'),
})

test('hello is answered by welcome once the name is claimed and visitors are let in', async () => {
  const { control, hello, said, published, tunnel } = await setup(async () => granted())
  control.send(hello)
  expect(await said.first()).toMatchObject({ type: 'welcome', subdomain: 'demo', epoch: 7 })
  expect(published).toEqual(['demo'])
  expect(tunnel.serving).toBe(true)
})

test('its streams for visitors are counted without the control stream', async () => {
  const { control, hello, said, tunnel } = await setup(async () => granted())
  expect(tunnel.visitorStreams).toBe(0)
  control.send(hello)
  await said.first()
  const [stream] = [tunnel.openStream(), tunnel.openStream()]
  expect(tunnel.visitorStreams).toBe(2)
  stream.reset()
  expect(tunnel.visitorStreams).toBe(1)
})

test('a claim that is refused is told, and the tunnel is over', async () => {
  const { control, hello, said, overs, published, refusals } = await setup(async () => {
    throw new TunnelFault('subdomain-taken', 'x'.repeat(1500), { retryAfterMs: 1.5 })
  })
  control.send(hello)
  const detail = 'x'.repeat(FAULT_DETAIL_CHARACTERS)
  expect(await said.first()).toEqual({ type: 'refused', fault: 'subdomain-taken', detail, retryAfterMs: 2 })
  expect(refusals).toEqual([['subdomain-taken', '127.0.0.1']])
  expect((await overs.first()).release).toBeUndefined()
  expect(published).toEqual([])
})

test('a channel that is lost while its name is claimed leaves nothing claimed', async () => {
  const released: string[] = []
  let grant = (_claim: Claim) => {}
  const asked = new Inbox<true>()
  const { control, hello, channel, overs, published } = await setup(() => {
    asked.put(true)
    return new Promise<Claim>((resolve) => (grant = resolve))
  })
  control.send(hello)
  await asked.first()
  channel.destroy(new TunnelFault('channel-closed'))
  await new Promise((resolve) => setTimeout(resolve, 50))
  grant(granted(released))
  await overs.first()
  expect(released).toEqual(['released'])
  expect(published).toEqual([])
})

test('a claim that fails after its channel was lost still ends the tunnel, once', async () => {
  let fail = (_why: TunnelFault) => {}
  const asked = new Inbox<true>()
  const { control, hello, channel, overs } = await setup(() => {
    asked.put(true)
    return new Promise<Claim>((_resolve, reject) => (fail = reject))
  })
  control.send(hello)
  await asked.first()
  channel.destroy(new TunnelFault('channel-closed'))
  await new Promise((resolve) => setTimeout(resolve, 50))
  fail(new TunnelFault('store-unavailable'))
  await overs.first()
  expect(overs.all).toHaveLength(1)
})

/** A tunnel whose claim is in the table while the answer has not come, and what became of the claim. */
async function claiming() {
  const asked = new Inbox<true>()
  const did: string[] = []
  let answer = (_claim: Claim | TunnelFault) => {}
  const rig = await setup(async () => {
    asked.put(true)
    const claim = await new Promise<Claim | TunnelFault>((resolve) => (answer = resolve))
    if (claim instanceof TunnelFault) throw claim
    return claim
  })
  rig.control.send(rig.hello)
  await asked.first()
  const granted: Claim = {
    epoch: 7,
    slot: 0,
    settle: async () => void did.push('settled'),
    release: async (parting, holdMs) => void did.push(`released ${parting} ${holdMs}`),
    relist: async () => {},
  }
  return { ...rig, did, grant: () => answer(granted), fail: (fault: TunnelFault) => answer(fault) }
}

/** What ends a tunnel while its name is claimed; the message to its agent, the fault in the log, and the release in the table. */
type Claiming = Awaited<ReturnType<typeof claiming>>
const WHILE_CLAIMING: [what: string, act: (of: Claiming) => unknown, said: unknown, why: string, released: string][] = [
  [
    'is superseded by another agent',
    ({ tunnel }) => tunnel.supersededBy({ instanceId: 'other', label: 'desk (pid 7)' }),
    { type: 'refused', fault: 'superseded', detail: 'It is "desk (pid 7)".' },
    'superseded',
    `moved ${HOLD_MS}`,
  ],
  [
    'is revoked',
    ({ tunnel }) => tunnel.revoke('Its token was revoked.'),
    { type: 'refused', fault: 'revoked', detail: 'Its token was revoked.' },
    'revoked',
    `dismissed ${HOLD_MS}`,
  ],
  [
    'has expired',
    ({ tunnel }) => tunnel.disconnect(new TunnelFault('token-expired')),
    { type: 'refused', fault: 'ticket-refused' },
    'token-expired',
    `dismissed ${HOLD_MS}`,
  ],
  [
    'is disconnected',
    ({ tunnel }) => tunnel.disconnect(new TunnelFault('channel-closed', 'Its slot was given to another agent.')),
    { type: 'refused', fault: 'ticket-refused', detail: 'Its slot was given to another agent.' },
    'channel-closed',
    `lost ${HOLD_MS}`,
  ],
]

test.each(WHILE_CLAIMING)(
  'a tunnel that %s while its name is claimed never serves, and gives the name back when the table answers',
  async (_what, act, message, why, released) => {
    const rig = await claiming()
    act(rig)
    expect(await rig.said.first()).toEqual(message)
    rig.grant()
    expect(await rig.overs.first()).toMatchObject({ fault: { code: why }, release: undefined })
    expect([rig.did, rig.partings, rig.said.all]).toEqual([['settled', `released ${released}`], [], [message]])
    expect([rig.overs.all.length, rig.refusals.length]).toEqual([1, 1])
  },
)

test.each(WHILE_CLAIMING)(
  'a tunnel that %s while its name is claimed, and whose channel is over before the table answers, is over after that',
  async (_what, act, _said, why, released) => {
    const rig = await claiming()
    act(rig)
    rig.channel.destroy(new TunnelFault('channel-closed'))
    await rig.tunnel.close()
    expect(rig.overs.all).toEqual([])
    rig.grant()
    expect(await rig.overs.first()).toMatchObject({ fault: { code: why } })
    expect([rig.did, rig.partings]).toEqual([['settled', `released ${released}`], []])
  },
)

test('a tunnel that was superseded while its name is claimed is over once when the claim then fails', async () => {
  const { tunnel, overs, fail, refusals } = await claiming()
  tunnel.supersededBy({ instanceId: 'other' })
  tunnel.revoke('Its token was revoked.')
  fail(new TunnelFault('store-unavailable'))
  expect(await overs.first()).toMatchObject({ fault: { code: 'superseded' } })
  expect([overs.all.length, refusals]).toEqual([1, [['superseded', '127.0.0.1']]])
})

test('an agent that leaves while its name is claimed is not published', async () => {
  const { control, channel, grant, did, partings, overs, said } = await claiming()
  control.send({ type: 'leaving' })
  await channel.roundTrip()
  grant()
  await channel.close()
  await overs.first()
  expect([did, partings, said.all]).toEqual([['settled', `released left ${HOLD_MS}`], [], []])
})

test('a channel that its agent closes while its name is claimed is not published', async () => {
  const { channel, tunnel, grant, did, partings, overs } = await claiming()
  await channel.close()
  await vi.waitUntil(() => !tunnel.claiming)
  grant()
  await overs.first()
  expect([did, partings]).toEqual([['settled', `released left ${HOLD_MS}`], []])
})

test('a task that stops while a name is claimed sends the agent elsewhere and gives the name back', async () => {
  const { tunnel, said, grant, did, partings, overs } = await claiming()
  const closed = tunnel.close()
  expect(await said.first()).toEqual({ type: 'refused', fault: 'server-draining' })
  grant()
  await closed
  await overs.first()
  expect([did, partings]).toEqual([['settled', `released lost ${HOLD_MS}`], []])
})

test('a tunnel that is revoked before its hello is refused when the hello comes, and claims nothing', async () => {
  let claims = 0
  const { tunnel, control, hello, said, overs } = await setup(async () => {
    claims += 1
    return granted()
  })
  tunnel.revoke('Its token was revoked.')
  control.send(hello)
  expect(await overs.first()).toMatchObject({ fault: { code: 'revoked' } })
  expect([claims, said.all]).toEqual([0, [{ type: 'refused', fault: 'revoked', detail: 'Its token was revoked.' }]])
})

test('leaving takes visitors away at once, and the end releases the name', async () => {
  const released: string[] = []
  const { control, hello, said, published, channel, overs, tunnel } = await setup(async () => granted(released))
  control.send(hello)
  await said.first()
  control.send({ type: 'leaving' })
  await channel.roundTrip()
  expect(published).toEqual([])
  expect(tunnel.serving).toBe(false)
  await channel.close()
  expect(await overs.first()).toEqual({ fault: undefined, release: undefined })
  expect(released).toEqual(['released'])
})

test('what the agent says of an open stream is kept until it is asked for, whatever it says of others', async () => {
  const { control, hello, said, channel, tunnel } = await setup(async () => granted())
  control.send(hello)
  await said.first()
  const { id } = tunnel.openStream()
  for (let other = id; other <= id + 1000; other += 2)
    control.send({ type: 'stream-fault', streamId: other, fault: 'origin-refused', unsent: true })
  await channel.roundTrip()
  expect(tunnel.takeFailure(id + 2)).toBeUndefined()
  expect(tunnel.takeFailure(id)).toMatchObject({ fault: { code: 'origin-refused' }, unsent: true })
  expect(tunnel.takeFailure(id)).toBeUndefined()
})

test('an agent says of thousands of streams a second why it resets them, and goes on saying so', async () => {
  const { control, hello, said, channel, tunnel, channelEvents } = await setup(async () => granted())
  control.send(hello)
  await said.first()
  for (let round = 0; round < 2000; round++) {
    const stream = tunnel.openStream()
    control.send({ type: 'stream-fault', streamId: stream.id, fault: 'origin-refused', unsent: true })
    if (round % 50 === 49) await channel.roundTrip()
    stream.reset()
  }
  const last = tunnel.openStream()
  control.send({ type: 'stream-fault', streamId: last.id, fault: 'origin-closed', unsent: false })
  await channel.roundTrip()
  expect(tunnel.takeFailure(last.id)).toMatchObject({ fault: { code: 'origin-closed' }, unsent: false })
  expect(channelEvents.all).toEqual([])
})

test('a release that fails is reported, not lost', async () => {
  const { control, hello, said, overs, tunnel } = await setup(async () => ({
    ...granted(),
    release: async () => {
      throw new TunnelFault('store-unavailable')
    },
  }))
  control.send(hello)
  await said.first()
  await tunnel.close()
  expect((await overs.first()).release).toMatchObject({ code: 'store-unavailable' })
})

test('a revoked tunnel says so before it goes away, and what was open is reset, not ended', async () => {
  const released: string[] = []
  const { control, hello, said, overs, published, tunnel, channelEvents } = await setup(async () => granted(released))
  control.send(hello)
  await said.first()
  const stream = tunnel.openStream()
  const ends: string[] = []
  stream.listen({
    data: () => {},
    writable: () => {},
    end: () => void ends.push('ended'),
    reset: () => void ends.push('reset'),
  })
  tunnel.revoke('Its token was revoked.')
  tunnel.revoke('Its token was revoked.')
  tunnel.disconnect(new TunnelFault('token-expired'))
  expect(published).toEqual([])
  expect(await overs.first()).toMatchObject({ fault: { code: 'revoked', detail: 'Its token was revoked.' } })
  expect(ends).toEqual(['reset'])
  expect(channelEvents.all).toEqual(['revoked', 'goAway', 'closed'])
  expect(released).toEqual(['released'])
  expect(overs.all).toHaveLength(1)
})

test('a disconnected tunnel only goes away, and the log hears why', async () => {
  const { control, hello, said, overs, tunnel, channelEvents } = await setup(async () => granted())
  control.send(hello)
  await said.first()
  tunnel.disconnect(new TunnelFault('token-expired'))
  expect(await overs.first()).toMatchObject({ fault: { code: 'token-expired' } })
  expect(channelEvents.all).toEqual(['goAway', 'closed'])
})

test('an agent that does not answer the end is cut off after CLOSE_GRACE_MS', async () => {
  const { control, hello, said, overs, tunnel, silence } = await setup(async () => granted())
  control.send(hello)
  await said.first()
  silence()
  const began = performance.now()
  tunnel.revoke('Its token was revoked.')
  await overs.first()
  expect(performance.now() - began).toBeGreaterThan(CLOSE_GRACE_MS - 50)
  // The heartbeat, which the agent does not answer either, would have taken longer.
  expect(performance.now() - began).toBeLessThan(HEARTBEAT_MS + SILENCE_MS)
})

test('only a tunnel on line is put into the list again', async () => {
  const did: string[] = []
  const { control, hello, said, tunnel } = await setup(async () => granted(did))
  await tunnel.relist()
  expect(did).toEqual([])
  control.send(hello)
  await said.first()
  await tunnel.relist()
  expect(did).toEqual(['relisted'])
  await tunnel.close()
  await tunnel.relist()
  expect(did).toEqual(['relisted', 'released'])
})

/** What its agent or we do to a tunnel, and what the removal is told: at once, and again when the channel is over. */
type Setup = Awaited<ReturnType<typeof setup>>
test.each<[what: string, act: (of: Setup) => unknown, told: Parting[]]>([
  ['is lost', ({ channel }) => channel.destroy(new TunnelFault('channel-lost')), ['lost', 'lost']],
  ['is closed by its agent', ({ channel }) => channel.close(), ['left', 'left']],
  [
    'says that it leaves, and is then cut off',
    async ({ control, channel }) => {
      control.send({ type: 'leaving' })
      await channel.roundTrip()
      channel.destroy(new TunnelFault('channel-lost'))
    },
    ['left', 'left'],
  ],
  ['is disconnected', ({ tunnel }) => tunnel.disconnect(new TunnelFault('channel-closed')), ['lost', 'lost']],
  ['is revoked', ({ tunnel }) => tunnel.revoke('Its token was revoked.'), ['dismissed', 'dismissed']],
  ['has expired', ({ tunnel }) => tunnel.disconnect(new TunnelFault('token-expired')), ['dismissed', 'dismissed']],
])('how a tunnel goes that %s is told when it goes, and again when nothing is left of it', async (_what, act, told) => {
  const rig = await setup(async () => granted())
  rig.control.send(rig.hello)
  await rig.said.first()
  await act(rig)
  await rig.overs.first()
  expect(rig.partings).toEqual(told)
})

test.each([
  [{}, HOLD_MS],
  [{ holdMs: 0 }, 0],
  [{ holdMs: 2500 }, 2500],
])('hello with %j: requests wait %i ms', async (more, wanted) => {
  const { control, hello, said, tunnel } = await setup(async () => granted())
  control.send({ ...hello, ...more })
  await said.first()
  expect(tunnel.holdMs).toBe(wanted)
})

/** A tunnel that serves, with what its agent hears after the welcome. */
async function serving(released: string[] = []) {
  const all = await setup(async () => granted(released))
  all.control.send(all.hello)
  await all.said.first()
  return all
}

test('an agent is asked once to move, and its leaving then is no absence', async () => {
  const { tunnel, control, channel, said, partings, moves, overs } = await serving()
  expect([tunnel.askToMove(1234.4), tunnel.askToMove(1), tunnel.askedToMove]).toEqual([true, false, true])
  await channel.roundTrip()
  expect(said.all[1]).toEqual({ type: 'draining', deadlineMs: 1234 })
  expect(tunnel.serving).toBe(true)
  control.send({ type: 'leaving', moved: true })
  await channel.roundTrip()
  expect([partings, moves.all, tunnel.serving]).toEqual([['moved'], ['moved'], false])
  expect(tunnel.askToMove(1)).toBe(false)
  await channel.close()
  await overs.first()
  expect(partings).toEqual(['moved', 'moved'])
})

test('a channel that its own agent has replaced finishes what it has, and is not closed by us', async () => {
  const { tunnel, channel, hello, channelEvents, said, partings } = await serving()
  tunnel.replacedBy({ instanceId: hello.instanceId })
  await new Promise((resolve) => setTimeout(resolve, 50))
  await channel.roundTrip()
  expect([partings, channelEvents.all, said.all.length]).toEqual([['moved'], [], 1])
})

test('a channel that its own agent has replaced has REPLACED_CHANNEL_MS for what it has, then what is left is ended', async () => {
  const { tunnel, hello, moves, channelEvents } = await serving()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    tunnel.replacedBy({ instanceId: hello.instanceId })
    vi.advanceTimersByTime(REPLACED_CHANNEL_MS - 1)
    expect(moves.all).toEqual(['moved'])
    // Again, by a channel that is newer still: its time does not begin anew.
    tunnel.replacedBy({ instanceId: hello.instanceId })
    vi.advanceTimersByTime(1)
    expect(moves.all).toEqual(['moved', 'over'])
    expect(channelEvents.all, 'it is for whoever hears that to close it').toEqual([])
  } finally {
    vi.useRealTimers()
  }
})

test('a channel that was replaced and has ended in time is not told of again', async () => {
  const { tunnel, hello, moves, channel, overs } = await serving()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  try {
    tunnel.replacedBy({ instanceId: hello.instanceId })
    channel.destroy(new TunnelFault('channel-closed'))
    await vi.waitUntil(() => overs.all.length > 0, 5000)
    vi.advanceTimersByTime(REPLACED_CHANNEL_MS)
    expect(moves.all).toEqual(['moved'])
  } finally {
    vi.useRealTimers()
  }
})

test('a channel whose name another agent has taken hears whose it is, once, and ends', async () => {
  const released: string[] = []
  const { tunnel, said, overs, partings } = await serving(released)
  tunnel.replacedBy({ instanceId: 'other', label: 'desk (pid 7)' })
  tunnel.supersededBy({ instanceId: 'third' })
  expect(await overs.first()).toMatchObject({ fault: { code: 'superseded' } })
  expect(said.all.slice(1)).toEqual([{ type: 'superseded', byInstance: 'other', by: 'desk (pid 7)' }])
  expect([partings, released]).toEqual([['moved', 'moved'], ['released']])
})
