/** Agents that share a name over two tasks, and what takes it from them. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askOnce } from '../support/http-client.ts'
import { contentOf, fieldOf, statusOf } from '../support/http-message.ts'
import { SteadyWork } from '../support/steady-work.ts'
import { eventually } from '../support/visits.ts'
import { ChangingTasks, request } from './changing-tasks.ts'

let changing: ChangingTasks

beforeEach(async () => {
  changing = await ChangingTasks.start()
})

afterEach(() => changing.stop())

describe('agents that pool', () => {
  test('share the name over two tasks; one that is killed loses what was in flight there, and nothing else', async () => {
    const a = changing.first
    const b = await changing.add()
    changing.lead(a, b)
    const [left, right] = [await changing.startOrigin('left', 20), await changing.startOrigin('right', 20)]
    const first = await changing.startAgent('pooled', left.port, '--pool', '--connections', '2')
    await eventually('two channels', async () => (await changing.online('pooled')).length === 2)
    const second = await changing.startAgent('pooled', right.port, '--pool', '--connections', '2')
    await eventually('four channels', async () => (await changing.online('pooled')).length === 4)
    const width = 8
    const work = changing.visitSteadily('pooled', first.host, width)
    await work.again(6)
    second.process.kill('SIGKILL')
    await second.process.exited
    await work.again(6)
    await work.stop()
    const { left: atLeft = 0, right: atRight = 0, ...others } = Object.fromEntries(work.outcomes)
    expect(Math.min(atLeft, atRight)).toBeGreaterThan(width)
    // At most one for each visitor: what was on its way when the process died, and must not be sent twice. Every GET went to another channel.
    expect(Object.keys(others).filter((outcome) => !/^POST 502 channel-(lost|closed)/.test(outcome))).toEqual([])
    expect(Object.values(others).reduce((sum: number, count) => sum + (count ?? 0), 0)).toBeLessThanOrEqual(width)
    expect(Math.max(...changing.posts.values())).toBe(1)
    expect(first.process.running).toBe(true)
    await eventually(
      'the killed one is gone from the table',
      async () => (await changing.online('pooled')).length === 2,
    )
  })

  test('on different tasks share also what comes in at one of them', async () => {
    const a = changing.first
    const b = await changing.add()
    const [near, far] = [await changing.startOrigin('near', 50), await changing.startOrigin('far', 50)]
    changing.lead(a)
    const { host } = await changing.startAgent('spread', near.port, '--pool')
    changing.lead(b)
    await changing.startAgent('spread', far.port, '--pool')
    await eventually('a channel on each', async () => new Set(await changing.holders('spread')).size === 2)
    const work = new SteadyWork(8, async () => {
      const answer = await askOnce({ host: '127.0.0.1', port: a.ports.public }, request(host))
      return statusOf(answer) === 200 ? contentOf(answer).toString() : (fieldOf(answer, 'tunnel-error') ?? 'nothing')
    })
    await work.again(20)
    await work.stop()
    const { near: atNear = 0, far: atFar = 0, ...others } = Object.fromEntries(work.outcomes)
    expect(others).toEqual({})
    expect(Math.min(atNear, atFar) / (atNear + atFar)).toBeGreaterThan(0.25)
  })

  test('a ninth channel is told that the pool is full, with exit code 4, and takes nobody’s place', async () => {
    const origin = await changing.startOrigin('full')
    const first = await changing.startAgent('crowded', origin.port, '--pool', '--connections', '8')
    await eventually('eight channels', async () => (await changing.online('crowded')).length === 8)
    const late = await changing.system.launchAgent({
      ...{ subdomain: 'crowded', target: origin.port, server: changing.system.controlUrl },
      args: ['--pool'],
    })
    expect(await late.exited).toEqual({ code: 4, signal: null })
    expect(late.stderr).toContain('(pool-full)')
    expect(await changing.online('crowded')).toHaveLength(8)
    expect(first.process.running).toBe(true)
  })

  test('one that does not pool takes the name from all that do', async () => {
    const a = changing.first
    const b = await changing.add()
    changing.lead(a, b)
    const [pooled, alone] = [await changing.startOrigin('pooled'), await changing.startOrigin('alone')]
    const agents = [
      await changing.startAgent('taken-over', pooled.port, '--pool'),
      await changing.startAgent('taken-over', pooled.port, '--pool'),
    ]
    const last = await changing.startAgent('taken-over', alone.port)
    for (const { process } of agents) expect(await process.exited).toEqual({ code: 4, signal: null })
    expect(await changing.ask('taken-over', request(last.host))).toBe('alone')
    expect(await changing.online('taken-over')).toHaveLength(1)
  })

  test('a revocation cuts every channel of the name on every task', async () => {
    const a = changing.first
    const b = await changing.add()
    changing.lead(a, b)
    const origin = await changing.startOrigin('revoked')
    const agents = [
      await changing.startAgent('revoked', origin.port, '--pool', '--connections', '2'),
      await changing.startAgent('revoked', origin.port, '--pool', '--connections', '2'),
    ]
    await eventually('four channels', async () => (await changing.online('revoked')).length === 4)
    const now = Date.now()
    await changing.system.stores.revocations.add({
      ...{ what: 'user', key: 'tester', notBefore: now, now },
      newId: () => randomBytes(8).toString('hex'),
    })
    const exits = await Promise.all(agents.map(({ process }) => process.exited))
    expect(Date.now() - now).toBeLessThan(5000)
    expect(exits.map(({ code }) => code)).toEqual([3, 3])
    await eventually('no channel is left', async () => (await changing.online('revoked')).length === 0)
  })
})
