import { TunnelFault } from '@postern/protocol/fault'
import { TASK_DRAWS, UNANSWERED_DRAWS } from '@postern/protocol/limits'
import { WindowBudget } from '@postern/protocol/mux'
import { afterEach, expect, test } from 'vitest'
import { drawChannel } from './draw-channel.ts'
import { LocalServer } from './local-server.ts'
import { type ChannelServer, type ChannelServerOptions, startChannelServer } from './testing/channel-server.ts'

let server: ChannelServer
afterEach(() => server.stop())

/** Draws from a balancer that leads each connection to the next of these tasks, then to the last one again and again. */
async function draw(
  tasks: readonly string[],
  unwanted: readonly string[],
  options: Pick<ChannelServerOptions, 'refusal' | 'breaks'> & { readonly signal?: AbortSignal } = {},
) {
  server = await startChannelServer({
    taskOf: (connection) => tasks[connection - 1] ?? tasks.at(-1)!,
    ...options,
  })
  const { welcome, channel } = await drawChannel(
    server.ticket,
    {
      hello: { version: '0', instanceId: 'i', slot: 0, pool: false, rules: {} },
      server: new LocalServer(['127.0.0.1'], 9),
      budget: new WindowBudget(0),
      now: () => performance.now(),
      random: () => 0.5,
    },
    new Set(unwanted),
    options.signal ?? new AbortController().signal,
  )
  channel.leave(0)
  await channel.ended
  return welcome.taskId
}

test('the first task is taken where none is unwanted', async () => {
  expect(await draw(['a', 'b'], [])).toBe('a')
  expect(server.met).toEqual(['a'])
})

test('the same ticket looks on while it leads to tasks where the agent has a channel, and is spent once', async () => {
  expect(await draw(['a', 'b', 'a', 'c'], ['a', 'b'])).toBe('c')
  expect(server.met).toEqual(['a', 'b', 'a', 'c'])
  expect(server.spent).toBe(1)
})

test('where there is no other task, one more look than TASK_DRAWS takes any', async () => {
  expect(await draw(['a'], ['a'])).toBe('a')
  expect(server.met).toHaveLength(TASK_DRAWS + 1)
  expect(server.spent).toBe(1)
})

test('a task that stops costs neither the ticket nor one of the wanted', async () => {
  const draining = (connection: number) => (connection <= 3 ? new TunnelFault('server-draining') : undefined)
  expect(await draw(['a', 'b', 'a', 'b'], [], { refusal: draining })).toBe('b')
  expect(server.met).toEqual(['a', 'b', 'a', 'b'])
  expect(server.spent).toBe(1)
})

test('where all tasks stop it says so, after twice as many looks', async () => {
  const refusal = () => new TunnelFault('server-draining')
  await expect(draw(['a'], [], { refusal })).rejects.toMatchObject({ code: 'server-draining' })
  expect(server.met).toHaveLength(2 * TASK_DRAWS)
  expect(server.spent).toBe(0)
})

test('a connection that breaks before the answer, as of a task that has just died, costs no ticket', async () => {
  const breaks = (connection: number) => (connection < UNANSWERED_DRAWS ? 'unanswered' : undefined)
  expect(await draw(['a', 'a', 'b'], [], { breaks })).toBe('b')
  expect(server.spent).toBe(1)
})

test('where every connection breaks it says so, after UNANSWERED_DRAWS of them', async () => {
  await expect(draw(['a'], [], { breaks: () => 'unanswered' })).rejects.toMatchObject({ code: 'channel-lost' })
  expect(server.met).toHaveLength(UNANSWERED_DRAWS)
})

test('one that breaks after the answer may have spent the ticket: it is not tried again', async () => {
  await expect(draw(['a', 'b'], [], { breaks: () => 'answered' })).rejects.toMatchObject({ code: 'channel-lost' })
  expect(server.met).toHaveLength(1)
})

test('any other refusal is the last word on the ticket', async () => {
  const refusal = () => new TunnelFault('server-busy')
  await expect(draw(['a', 'b'], ['a'], { refusal })).rejects.toMatchObject({ code: 'server-busy' })
  expect(server.met).toHaveLength(1)
})

test('an agent that is told to stop looks no further', async () => {
  const stopping = new AbortController()
  const refusal = (connection: number) => {
    if (connection === 2) stopping.abort(new Error('stopped'))
    return new TunnelFault('server-draining')
  }
  await expect(draw(['a'], [], { refusal, signal: stopping.signal })).rejects.toThrow('stopped')
  expect(server.met).toHaveLength(2)
})
