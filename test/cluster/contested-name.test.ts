/** Two terminals that want one name, on two tasks. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askOnce } from '../support/http-client.ts'
import { contentOf } from '../support/http-message.ts'
import { startTableFront, type TableCall } from '../support/table-front.ts'
import { eventually } from '../support/visits.ts'
import { ChangingTasks, request } from './changing-tasks.ts'

let changing: ChangingTasks

beforeEach(async () => {
  changing = await ChangingTasks.start()
})

afterEach(() => changing.stop())

describe('two terminals with one name', () => {
  test('on two tasks: the newest has it, the other ends with exit code 4 and says who has taken it; nobody fights', async () => {
    const a = changing.first
    const b = await changing.add()
    const [older, newer] = [await changing.startOrigin('older'), await changing.startOrigin('newer')]
    changing.lead(a)
    const first = await changing.startAgent('contested', older.port, '--connections', '2')
    await eventually('two channels', async () => (await changing.online('contested')).length === 2)
    changing.lead(b)
    const second = await changing.startAgent('contested', newer.port)
    const began = performance.now()
    expect(await first.process.exited).toEqual({ code: 4, signal: null })
    expect(performance.now() - began).toBeLessThan(5000)
    expect(first.process.stderr).toMatch(
      new RegExp(`Another agent.*\\(pid ${second.process.pid}\\).*\\(superseded\\)`, 's'),
    )
    expect(await changing.ask('contested', request(second.host))).toBe('newer')
    expect(await changing.online('contested')).toHaveLength(1)
    expect(second.process.stderr).not.toMatch(/reconnecting|superseded/)
  })

  test('an agent that is replaced before the table has answered its claim never serves, and ends', async () => {
    const { tableEnv } = changing.system
    let claims = 0
    let answer = (): void => undefined
    const answered = new Promise<void>((resolve) => (answer = resolve))
    const isClaim = ({ operation, partition }: TableCall): boolean =>
      operation === 'UpdateItem' && partition === 'ROUTE#overtaken'
    const front = await startTableFront(tableEnv.AWS_ENDPOINT_URL_DYNAMODB!, undefined, async (call) => {
      if (!isClaim(call)) return
      claims += 1
      await answered
    })
    try {
      const [a, b] = [await changing.add({ AWS_ENDPOINT_URL_DYNAMODB: front.endpoint }), changing.first]
      const [older, newer] = [await changing.startOrigin('older'), await changing.startOrigin('newer')]
      changing.lead(a)
      const refused = changing.connect('overtaken', older.port).catch((error) => error)
      await eventually('its claim is in the table', async () => claims === 1)
      changing.lead(b)
      await changing.connect('overtaken', newer.port)
      expect(await refused).toMatchObject({ code: 'superseded', exit: 4 })
      answer()
      const visitor = await askOnce({ host: '127.0.0.1', port: a.ports.public }, request('overtaken.localhost'))
      expect(contentOf(visitor).toString()).toBe('newer')
      expect(await changing.online('overtaken')).toMatchObject([{ taskId: b.id }])
    } finally {
      answer()
      await front.stop()
    }
  })

  test('one that slept while the other took the name does not take it back', async () => {
    const a = changing.first
    const [older, newer] = [await changing.startOrigin('older'), await changing.startOrigin('newer')]
    changing.lead(a)
    const first = await changing.startAgent('asleep', older.port)
    first.process.kill('SIGSTOP')
    // Silent for longer than a channel may be.
    await eventually('its channel is given up', async () => (await changing.online('asleep')).length === 0)
    const second = await changing.startAgent('asleep', newer.port)
    first.process.kill('SIGCONT')
    expect(await first.process.exited).toEqual({ code: 4, signal: null })
    expect(first.process.stderr).toContain(`(pid ${second.process.pid})`)
    expect(await changing.ask('asleep', request(second.host))).toBe('newer')
    expect(second.process.running).toBe(true)
  })
})
