import { once } from 'node:events'
import type { TicketRequest } from '@postern/protocol/api'
import { IpNotAllowedFault } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { describe, expect, test, vi } from 'vitest'
import { Agent, type AgentOptions, type AgentReport, type Wanted } from './agent.ts'
import { delayAfter } from './backoff.ts'
import type { AgentChannel, Wear } from './link.ts'

const ticket = { seenIp: '192.0.2.1' } as ChannelTicket
const welcome = {
  type: 'welcome',
  subdomain: 'demo',
  url: 'http://demo.test',
  taskId: 't',
  epoch: 1,
  heartbeatMs: 1,
} as const

/** A channel whose end the test decides. */
class FakeChannel implements AgentChannel {
  wear: (wear: Wear) => void = () => undefined
  part: (fault: TunnelFault) => void = () => undefined
  end: () => void = () => undefined
  readonly left: (number | string)[] = []
  readonly worn = new Promise<Wear>((resolve) => {
    this.wear = resolve
  })
  readonly parted = new Promise<TunnelFault>((resolve) => {
    this.part = resolve
  })
  readonly ended = new Promise<void>((resolve) => {
    this.end = resolve
  })

  leave(drainMs: number, moved?: 'moved'): void {
    this.left.push(moved ?? drainMs)
  }
}

const backoff = {
  delayAfter: (failures: number) => delayAfter(failures, () => 0.5),
  wait: async () => undefined,
  gotThrough: () => undefined,
}

function agentWith(options: Partial<AgentOptions> & { answer?: (request: TicketRequest) => ChannelTicket }) {
  const requests: TicketRequest[] = []
  const states: AgentReport[] = []
  const watchers = new Set<() => void>()
  const agent = new Agent({
    subdomain: 'demo',
    connections: 1,
    patient: false,
    control: {
      account: async () => ({ username: 'ann', scopes: [], subdomains: [], expiresAt: '' }),
      ticket: async (request) => {
        requests.push(request)
        return options.answer?.(request) ?? ticket
      },
    },
    dial: async () => ({ channel: new FakeChannel(), welcome }),
    drawName: () => 'calm-otter',
    now: () => 0,
    backoff,
    report: (state) => {
      states.push(state)
      for (const look of watchers) look()
    },
    ...options,
  })
  /** Resolves once the agent is in such a state; the test's deadline is the limit. */
  const reached = (kind: AgentReport['kind']): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (states.at(-1)?.kind !== kind) return
        watchers.delete(look)
        resolve()
      }
      watchers.add(look)
      look()
    })
  return { agent, requests, states, reached }
}

describe('a name that was not chosen', () => {
  test('is drawn again while the drawn one is taken, and kept once it is ours', async () => {
    const names = ['taken-one', 'taken-two', 'free-one', 'never-drawn']
    const channels = [new FakeChannel(), new FakeChannel()]
    let dialed = 0
    const { agent, requests, reached } = agentWith({
      subdomain: undefined,
      drawName: () => names.shift()!,
      answer: ({ subdomain }) => {
        if (subdomain.startsWith('taken')) throw new TunnelFault('subdomain-taken')
        return ticket
      },
      dial: async () => ({ channel: channels[dialed++]!, welcome }),
    })
    const run = agent.run()
    await reached('online')
    channels[0]!.part(new TunnelFault('channel-lost'))
    channels[0]!.end()
    await reached('waiting')
    await reached('online')
    agent.stop(0)
    channels[1]!.end()
    await run
    expect(requests).toEqual([
      { username: 'ann', subdomain: 'taken-one', ephemeral: true },
      { username: 'ann', subdomain: 'taken-two', ephemeral: true },
      { username: 'ann', subdomain: 'free-one', ephemeral: true },
      { username: 'ann', subdomain: 'free-one', ephemeral: true },
    ])
  })

  test('is not drawn for ever', async () => {
    const taken = () => {
      throw new TunnelFault('subdomain-taken')
    }
    const { agent, requests } = agentWith({ subdomain: undefined, answer: taken })
    expect(await agent.run()).toMatchObject({ code: 'subdomain-taken', exit: 4 })
    expect(requests.length).toBe(5)
  })

  test('a name that was chosen is never another one', async () => {
    const taken = () => {
      throw new TunnelFault('subdomain-taken')
    }
    const { agent, requests } = agentWith({ answer: taken })
    expect(await agent.run()).toMatchObject({ code: 'subdomain-taken' })
    expect(requests).toEqual([{ username: 'ann', subdomain: 'demo' }])
  })
})

test('two addresses: the observation goes into the next ticket, and the error names both', async () => {
  const { agent, requests } = agentWith({
    dial: async () => {
      throw new IpNotAllowedFault('198.51.100.7', 'signed')
    },
  })
  const why = await agent.run()
  expect(requests.map(({ observation }) => observation)).toEqual([undefined, 'signed', 'signed'])
  expect(why).toMatchObject({ code: 'ip-not-allowed', exit: 5 })
  expect(why?.message).toMatch(/192\.0\.2\.1.*198\.51\.100\.7/)
})

describe('a channel whose task drains', () => {
  const draining = (finishMs: number): Wear => ({ why: new TunnelFault('server-draining'), finishMs })

  test('serves until the next one stands, and is left only then; nobody hears of it', async () => {
    const channels = [new FakeChannel(), new FakeChannel()]
    const wanted: Wanted[] = []
    let stand: () => void = () => undefined
    const { agent, states, reached } = agentWith({
      dial: async (_ticket, asked) => {
        wanted.push(asked)
        if (wanted.length > 1) await new Promise<void>((resolve) => (stand = resolve))
        return { channel: channels[wanted.length - 1]!, welcome }
      },
    })
    const run = agent.run()
    await reached('online')
    channels[0]!.wear(draining(5000))
    await vi.waitFor(() => expect(wanted).toHaveLength(2))
    expect(channels[0]!.left).toEqual([])
    // Anywhere but where it was.
    expect([...wanted[1]!.unwanted]).toEqual([welcome.taskId])
    stand()
    await vi.waitFor(() => expect(channels[0]!.left).toEqual(['moved']))
    expect(states.map(({ kind }) => kind)).toEqual(['opening', 'online'])
    // What both still have in flight ends within the time that it is given now.
    agent.stop(7)
    expect(channels.map(({ left }) => left)).toEqual([['moved', 7], [7]])
    for (const channel of channels) channel.end()
    expect(await run).toBeUndefined()
  })

  test('that is lost before the next one stands is missed, and the next one comes all the same', async () => {
    const channels = [new FakeChannel(), new FakeChannel()]
    let dialed = 0
    let stand: () => void = () => undefined
    const { agent, reached } = agentWith({
      dial: async () => {
        const channel = channels[dialed++]!
        if (dialed > 1) await new Promise<void>((resolve) => (stand = resolve))
        return { channel, welcome }
      },
    })
    const run = agent.run()
    await reached('online')
    channels[0]!.wear(draining(5000))
    await vi.waitFor(() => expect(dialed).toBe(2))
    channels[0]!.part(new TunnelFault('channel-lost'))
    channels[0]!.end()
    await reached('opening')
    stand()
    await reached('online')
    expect(channels[0]!.left).toEqual([])
    agent.stop(0)
    channels[1]!.end()
    await run
  })

  test('that hears the last word meanwhile ends the agent, whatever is under way', async () => {
    const first = new FakeChannel()
    let dialed = 0
    const { agent, reached } = agentWith({
      dial: async (_ticket, _wanted, signal) => {
        dialed += 1
        if (dialed > 1) await once(signal, 'abort').then(() => signal.throwIfAborted())
        return { channel: first, welcome }
      },
    })
    const run = agent.run()
    await reached('online')
    first.wear(draining(5000))
    await vi.waitFor(() => expect(dialed).toBe(2))
    first.part(new TunnelFault('superseded'))
    first.end()
    expect(await run).toMatchObject({ code: 'superseded', exit: 4 })
  })
})

describe('several connections', () => {
  /** An agent whose channels the test ends, each on the task that the list says. */
  function several(tasks: readonly string[]) {
    const channels: FakeChannel[] = []
    const wanted: Wanted[] = []
    const agent = agentWith({
      connections: 3,
      dial: async (_ticket, asked) => {
        wanted.push(asked)
        const channel = new FakeChannel()
        channels.push(channel)
        return { channel, welcome: { ...welcome, taskId: tasks[channels.length - 1] ?? 'more' } }
      },
    })
    return { ...agent, channels, wanted }
  }

  test('are opened one after the other, each looking for a task where none is yet', async () => {
    const { agent, channels, wanted, states } = several(['a', 'b', 'c'])
    const run = agent.run()
    await vi.waitFor(() => expect(states.at(-1)).toMatchObject({ kind: 'online', connections: 3 }))
    expect(wanted.map(({ slot, unwanted }) => [slot, [...unwanted]])).toEqual([
      [0, []],
      [1, ['a']],
      [2, ['a', 'b']],
    ])
    agent.stop(0)
    for (const channel of channels) channel.end()
    expect(await run).toBeUndefined()
  })

  test('keep the tunnel on line as long as one of them stands', async () => {
    const { agent, channels, states } = several(['a', 'b', 'c', 'd'])
    const run = agent.run()
    await vi.waitFor(() => expect(states.at(-1)).toMatchObject({ connections: 3 }))
    channels[1]!.part(new TunnelFault('channel-lost'))
    channels[1]!.end()
    await vi.waitFor(() => expect(channels).toHaveLength(4))
    await vi.waitFor(() => expect(states.at(-1)).toMatchObject({ connections: 3 }))
    expect(states.slice(1).every(({ kind }) => kind === 'online')).toBe(true)
    agent.stop(0)
    for (const channel of channels) channel.end()
    await run
  })

  test('all end when one hears the last word', async () => {
    const { agent, channels, states } = several(['a', 'b', 'c'])
    const run = agent.run()
    await vi.waitFor(() => expect(states.at(-1)).toMatchObject({ connections: 3 }))
    channels[2]!.part(new TunnelFault('superseded'))
    for (const channel of channels) channel.end()
    expect(await run).toMatchObject({ code: 'superseded', exit: 4 })
    expect(states.at(-1)).toMatchObject({ kind: 'ended', why: { code: 'superseded' } })
  })

  test('a full pool keeps only the first of them from opening the tunnel', async () => {
    let dialed = 0
    const channel = new FakeChannel()
    const { agent, states } = agentWith({
      connections: 2,
      dial: async () => {
        dialed += 1
        if (dialed > 1) throw new TunnelFault('pool-full')
        return { channel, welcome }
      },
      backoff: { ...backoff, wait: async (_, signal) => void (await once(signal, 'abort')) },
    })
    const run = agent.run()
    await vi.waitFor(() => expect(dialed).toBe(2))
    expect(states.at(-1)).toMatchObject({ kind: 'online', connections: 1 })
    agent.stop(0)
    channel.end()
    expect(await run).toBeUndefined()

    const alone = agentWith({
      dial: async () => {
        throw new TunnelFault('pool-full')
      },
    })
    expect(await alone.agent.run()).toMatchObject({ code: 'pool-full', exit: 4 })
  })
})

describe('being told to stop', () => {
  test('while online: the agent is over only when nothing is left of its channel', async () => {
    const channel = new FakeChannel()
    const { agent, reached } = agentWith({ dial: async () => ({ channel, welcome }) })
    let over = false
    const run = agent.run().then(() => {
      over = true
    })
    await reached('online')
    agent.stop(1000)
    await reached('ended')
    expect([over, channel.left[0]]).toEqual([false, 1000])
    channel.end()
    await run
  })

  test('while waiting: at once', async () => {
    const { agent, reached } = agentWith({
      patient: true,
      dial: async () => {
        throw new TunnelFault('server-unreachable')
      },
      backoff: {
        ...backoff,
        wait: async (_, signal) => {
          if (!signal.aborted) await once(signal, 'abort')
        },
      },
    })
    const run = agent.run()
    await reached('waiting')
    agent.stop(1000)
    expect(await run).toBeUndefined()
  })

  test('while dialing: the channel that comes nevertheless is left', async () => {
    const channel = new FakeChannel()
    let dialed: () => void = () => undefined
    const { agent } = agentWith({
      dial: () =>
        new Promise((resolve) => {
          dialed = () => resolve({ channel, welcome })
          setImmediate(() => agent.stop(0))
          setImmediate(() => dialed())
        }),
    })
    const run = agent.run()
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
    channel.end()
    expect(await run).toBeUndefined()
    expect(channel.left.length).toBeGreaterThan(0)
  })
})
