/** One anonymous connection takes as much as it can of a node's memory, beside visitors of the same tunnel and of another one. */
import { get } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { INITIAL_WINDOW_BYTES, REPLAY_BYTES } from '@postern/protocol/limits'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { size } from '../support/full-size.ts'
import { eventually } from '../support/visits.ts'
import { tell } from './experiment.ts'
import {
  type Attack,
  type Attacker,
  atOnce,
  BODY_BYTES,
  LARGEST_WINDOW_BYTES,
  LONG_FIELDS,
  LONG_TRAILERS,
  pipeline,
  retain,
  singles,
  sip,
  trailed,
} from './greedy-connections.ts'
import { namedField } from './h2-frames.ts'
import { BASE } from './memory-task.ts'
import { ScriptedTunnel } from './scripted-tunnel.ts'
import { type TaskPorts, WeighedTasks } from './weighed-tasks.ts'

const MiB = 1024 * 1024
/** Live memory instead of resident: what a process keeps resident includes garbage of any visitor, and its own size when it began. */
const MOST_BYTES = 16 * MiB
/** What is left when it has gone: code that was compiled, tables that have grown. */
const LEFT_BYTES = 3 * MiB
const usual = true
/** Nothing has moved for so long: all that is on the way is full. */
const STILL = { looks: 4, everyMs: 100 }

function status(ports: TaskPorts, host: string): Promise<string> {
  return new Promise((resolve) => {
    const options = {
      port: ports.public,
      host: '127.0.0.1',
      path: '/small',
      headers: { host },
      agent: false,
      timeout: 10_000,
    }
    get(options, (response) => {
      response.resume()
      response.on('end', () => resolve(String(response.statusCode)))
    })
      .on('timeout', () => resolve('late'))
      .on('error', (error) => resolve(error.message))
  })
}

interface Heaviest {
  live: number
  resident: number
  /** What they say that they hold, when nothing moves any more. */
  held: number
}

/** The most that the tasks weigh until nothing moves any more. What windows have grown to over a slow path is bounded by tenant (WINDOW_BUDGET_BYTES), and is taken off. */
async function heaviest(tasks: WeighedTasks, attack: Attack, sharesStreams: boolean): Promise<Heaviest> {
  const most = { live: 0, resident: 0, held: 0 }
  let before = ''
  for (let same = 0; same < STILL.looks; ) {
    await setTimeout(STILL.everyMs)
    const { live, resident } = await tasks.weigh()
    most.held = await tasks.gauge('held')
    const streams = sharesStreams ? Infinity : await tasks.gauge('streams')
    const grown = Math.max(0, most.held - streams * INITIAL_WINDOW_BYTES * tasks.ports.length)
    most.live = Math.max(most.live, live - grown)
    most.resident = Math.max(most.resident, resident)
    const now = `${most.held} ${attack.moved()}`
    same = now === before ? same + 1 : 0
    before = now
  }
  return most
}

interface Case {
  readonly attack: Attacker
  /** In `npm test` too. */
  readonly usual?: true
  /** Its requests share streams, which is as much as the gauge of streams counts. */
  readonly sharesStreams?: true
  /** At least so much of it is held for a visitor that does not read, and the gauge says so. */
  readonly holds?: number
}

async function run(
  tasks: WeighedTasks,
  tunnel: ScriptedTunnel,
  what: string,
  { attack, holds = 0, sharesStreams }: Case,
): Promise<void> {
  const began = performance.now()
  const base = await tasks.weigh()
  const attacking = await attack(tasks.entry, tunnel)
  const beside = (): Promise<string[]> =>
    Promise.all(['open', 'other'].map((name) => status(tasks.entry, `${name}.${BASE}`)))
  const others = await beside()
  const { live, resident, held } = await heaviest(tasks, attacking, sharesStreams === true)
  others.push(...(await beside()))
  attacking.leave()
  await expect.poll(() => tasks.gauge('visitors')).toBe(0)
  await expect.poll(() => tasks.gauge('held')).toBe(0)
  const after = await tasks.weigh()
  const [more, left] = [live - base.live, after.live - base.live].map((bytes) => (bytes / MiB).toFixed(1))
  const [heldMiB, grown] = [held, resident - base.resident].map((bytes) => (bytes / MiB).toFixed(1))
  tell(
    22,
    `${what}: ${more} MiB more at most, ${heldMiB} of them said to be held, ${left} left (resident: ${grown})`,
    began,
  )
  expect(others).toEqual(['200', '200', '200', '200'])
  expect(live - base.live).toBeLessThan(MOST_BYTES * tasks.ports.length)
  expect(held).toBeGreaterThanOrEqual(holds)
  expect(after.live - base.live).toBeLessThan(LEFT_BYTES)
}

async function start(count: number, timeScale?: number): Promise<{ tasks: WeighedTasks; tunnel: ScriptedTunnel }> {
  const tasks = await WeighedTasks.start(count, timeScale)
  const tunnel = await ScriptedTunnel.open(await tasks.ticket('open'))
  await ScriptedTunnel.open(await tasks.ticket('other'))
  await ScriptedTunnel.open(await tasks.ticket('judged'), { rules: { allow: ['127.0.0.0/8'] } })
  await ScriptedTunnel.open(await tasks.ticket('h2c'), { h2c: true })
  // What the first request of each kind compiles and fills is no visitor's.
  for (const host of ['open', 'other', 'judged', 'h2c', 'none'])
    for (let count = 0; count < 50; count += 1) await status(tasks.entry, `${host}.${BASE}`)
  const visitor = await atOnce('/small', { window: LARGEST_WINDOW_BYTES })(tasks.entry, tunnel)
  await eventually('its requests are over', async () => (await tasks.gauge('streams')) === 0)
  visitor.leave()
  await eventually('it has left', async () => (await tasks.gauge('visitors')) === 0)
  return { tasks, tunnel }
}

/** The usual size is a case of each kind. */
const asked = (cases: Readonly<Record<string, Case>>): [what: string, how: Case][] =>
  Object.entries(cases).filter((each) => size(each[1].usual === true, true, true))

describe('row 22: one anonymous connection', () => {
  let tasks: WeighedTasks
  let tunnel: ScriptedTunnel
  beforeAll(async () => {
    ;({ tasks, tunnel } = await start(1))
  })
  afterAll(() => tasks?.stop())

  const page = { fields: 'Accept: text/html\r\n' }
  const CASES: Readonly<Record<string, Case>> = {
    'pipelined requests for large responses': { usual, attack: pipeline(`open.${BASE}`, '/huge'), holds: 200_000 },
    'pipelined requests for small responses': { attack: pipeline(`open.${BASE}`, '/small') },
    'pipelined requests for long heads': { attack: pipeline(`open.${BASE}`, '/head') },
    'pipelined requests for unknown names': { usual, attack: pipeline(`none.${BASE}`, '/', page) },
    'pipelined requests for the base domain': { attack: pipeline(BASE, '/', page) },
    'pipelined requests for somebody else’s domain': { attack: pipeline('else.example', '/', page) },
    'pipelined requests that are redirected': { attack: pipeline(`open.${BASE}`, '/', { port: 'redirect' }) },
    'a response by HTTP/1.1 that is sipped': { attack: sip('/huge', '1.1'), holds: 200_000 },
    'chunks of one byte by HTTP/1.0': { attack: sip('/tiny', '1.0') },
    '100 large responses without a window': { usual, attack: atOnce('/large'), holds: 8 * MiB },
    '100 large responses in chunks without a window': { attack: atOnce('/chunks'), holds: 8 * MiB },
    '100 large responses in the largest windows, unread': {
      attack: atOnce('/large', { window: LARGEST_WINDOW_BYTES, reads: false }),
      holds: MiB,
    },
    '100 large responses that are sipped': { attack: atOnce('/large', { window: 1, sips: true }), holds: 8 * MiB },
    '100 responses in chunks of one byte': { attack: atOnce('/tiny'), holds: 8 * MiB },
    '100 long heads, unread': { attack: atOnce('/head', { reads: false }) },
    '100 fault pages, unread': {
      attack: atOnce('/', { host: `none.${BASE}`, fields: [namedField('accept', 'text/html')], reads: false }),
    },
    '100 bodies that are not read': { usual, attack: atOnce('/stall', { body: BODY_BYTES }) },
    '100 bodies behind long heads': { attack: atOnce('/stall', { body: BODY_BYTES, fields: LONG_FIELDS }) },
    '100 bodies that are not read, and long trailers': { attack: trailed('/stall', LONG_TRAILERS) },
    'bodies of single bytes that may be sent again': {
      usual,
      attack: singles(`open.${BASE}`, '/sink', 8, REPLAY_BYTES),
    },
    'bodies of single bytes that an HTTP/2 server does not read': {
      attack: singles(`h2c.${BASE}`, '/stall', 40, 80_000),
    },
    'single bytes of a body that waits': { attack: retain },
    '100 large responses of an HTTP/2 server': {
      attack: atOnce('/large', { host: `h2c.${BASE}` }),
      sharesStreams: true,
      holds: 3 * MiB,
    },
    '100 bodies that an HTTP/2 server does not read': {
      attack: atOnce('/stall', { host: `h2c.${BASE}`, body: BODY_BYTES }),
    },
  }
  test.each(asked(CASES))('adds at most 16 MiB by %s', async (what, each) => run(tasks, tunnel, what, each), 120_000)
})

describe('row 22: one anonymous connection whose tunnel is on another node', () => {
  let tasks: WeighedTasks
  let tunnel: ScriptedTunnel
  beforeAll(async () => {
    ;({ tasks, tunnel } = await start(2))
  })
  afterAll(() => tasks?.stop())

  const CASES: Readonly<Record<string, Case>> = {
    'pipelined requests for large responses': { attack: pipeline(`open.${BASE}`, '/huge'), holds: 200_000 },
    '100 large responses': { attack: atOnce('/large'), holds: 8 * MiB },
    '100 large responses of a tunnel with rules': {
      usual,
      attack: atOnce('/large', { host: `judged.${BASE}` }),
      holds: 8 * MiB,
    },
    '100 bodies that are not read': { attack: atOnce('/stall', { body: BODY_BYTES }) },
    '100 bodies for a tunnel with rules': {
      attack: atOnce('/stall', { host: `judged.${BASE}`, body: BODY_BYTES }),
      sharesStreams: true,
    },
  }
  test.each(asked(CASES))(
    'adds at most 16 MiB to each by %s',
    async (what, each) => run(tasks, tunnel, what, each),
    120_000,
  )
})

describe('row 22: one anonymous connection whose requests were sent long ago', () => {
  let tasks: WeighedTasks
  let tunnel: ScriptedTunnel
  beforeAll(async () => {
    ;({ tasks, tunnel } = await start(1, 0.1))
  })
  afterAll(() => tasks?.stop())

  test(
    'adds at most 16 MiB by 100 responses that flow at once after a byte',
    async () =>
      run(tasks, tunnel, '100 responses that flow at once after a byte', {
        attack: atOnce('/flow', { window: 10, floods: true }),
        holds: 8 * MiB,
      }),
    120_000,
  )
})
