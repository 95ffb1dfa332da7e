import { TunnelFault } from '@postern/protocol/fault'
import type { Eviction } from '@postern/protocol/store'
import { expect, test } from 'vitest'
import { Evictions } from './evictions.ts'

const self = { taskId: 'own', bootId: 'b' }

function setup({ broken = false } = {}) {
  const heard: string[] = []
  const takenAway: unknown[] = []
  const evicted: { taskId: string; bootId: string; eviction: Eviction }[] = []
  const tunnels = ['c1', 'c2'].map((connId) => ({
    connId,
    supersededBy: ({ instanceId, label }: { instanceId: string; label?: string | undefined }) =>
      void heard.push(`${connId} superseded by ${instanceId}, ${label}`),
    disconnect: ({ code }: TunnelFault) => void heard.push(`${connId} ${code}`),
  }))
  const evictions = new Evictions({
    tasks: {
      evict: async (call) => {
        evicted.push(call)
        return true
      },
      heeded: async (call) => {
        if (broken) throw new TunnelFault('store-unavailable')
        takenAway.push(call)
      },
    },
    ...self,
    tunnels: () => tunnels,
  })
  return { evictions, heard, takenAway, evicted }
}

test('what stands in this task’s row is heeded, then taken away; what cannot be read is taken away too', async () => {
  const { evictions, heard, takenAway } = setup()
  const told = new Set([
    JSON.stringify({ connId: 'c1', why: 'superseded', byInstance: 'i', by: 'desk' }),
    JSON.stringify({ connId: 'c2', why: 'displaced', byInstance: 'i' }),
    JSON.stringify({ connId: 'gone', why: 'superseded', byInstance: 'i' }),
    'from the future',
  ])
  await evictions.heedAll(told)
  expect(heard).toEqual(['c1 superseded by i, desk', 'c2 channel-closed'])
  expect(takenAway).toEqual([{ ...self, evictions: told }])
})

test('a row without such words costs no write', async () => {
  const { evictions, takenAway } = setup()
  await evictions.heedAll(undefined)
  await evictions.heedAll(new Set())
  expect(takenAway).toEqual([])
})

test('a table that does not take them away is told of, and they were heeded', async () => {
  const { evictions, heard } = setup({ broken: true })
  const told = new Set([JSON.stringify({ connId: 'c1', why: 'superseded', byInstance: 'i' })])
  await expect(evictions.heedAll(told)).rejects.toMatchObject({ code: 'store-unavailable' })
  expect(heard).toHaveLength(1)
})
