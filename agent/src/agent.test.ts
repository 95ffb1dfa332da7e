import { once } from 'node:events'
import type { TicketRequest } from '@postern/protocol/api'
import { IpNotAllowedFault } from '@postern/protocol/channel'
import { TunnelFault } from '@postern/protocol/fault'
import type { ChannelTicket } from '@postern/protocol/ticket'
import { describe, expect, test } from 'vitest'
import { Agent, type AgentChannel, type AgentOptions } from './agent.ts'
import type { AgentState } from './agent-state.ts'

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
  part: (fault: TunnelFault) => void = () => undefined
  end: () => void = () => undefined
  readonly left: number[] = []
  readonly parted = new Promise<TunnelFault>((resolve) => {
    this.part = resolve
  })
  readonly ended = new Promise<void>((resolve) => {
    this.end = resolve
  })

  leave(drainMs: number): void {
    this.left.push(drainMs)
  }
}

function agentWith(options: Partial<AgentOptions> & { answer?: (request: TicketRequest) => ChannelTicket }) {
  const requests: TicketRequest[] = []
  const states: AgentState[] = []
  const watchers = new Set<() => void>()
  const agent = new Agent({
    subdomain: 'demo',
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
    random: () => 0.5,
    sleep: async () => undefined,
    report: (state) => {
      states.push(state)
      for (const look of watchers) look()
    },
    ...options,
  })
  /** Resolves once the agent is in such a state; the test's deadline is the limit. */
  const reached = (kind: AgentState['kind']): Promise<void> =>
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

test('a task that drains keeps its channel until the next one stands, and longer', async () => {
  const channels = [new FakeChannel(), new FakeChannel()]
  let dialed = 0
  const { agent, states, reached } = agentWith({ dial: async () => ({ channel: channels[dialed++]!, welcome }) })
  const run = agent.run()
  await reached('online')
  channels[0]!.part(new TunnelFault('server-draining'))
  await reached('opening')
  await reached('online')
  expect(states.map(({ kind }) => kind)).toEqual(['opening', 'online', 'opening', 'online'])
  expect(channels[0]!.left).toEqual([])
  agent.stop(7)
  expect(channels.map(({ left }) => left[0])).toEqual([7, 7])
  for (const channel of channels) channel.end()
  expect(await run).toBeUndefined()
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
      sleep: async (_, signal) => {
        if (!signal.aborted) await once(signal, 'abort')
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
