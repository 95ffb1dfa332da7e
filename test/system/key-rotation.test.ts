/** The order in which the deployment's key is changed (docs/runbook.md), walked while channels are opened without a pause. */
import { randomBytes } from 'node:crypto'
import { openChannel } from '@postern/protocol/channel'
import { type ChannelTicket, parseDeploymentKeys } from '@postern/protocol/ticket'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect } from '../../agent/src/connect.ts'
import { type Balancer, startBalancer } from '../support/balancer.ts'
import { dial, tryOpening } from '../support/cut-short-agent.ts'
import { size } from '../support/full-size.ts'
import { HttpClient } from '../support/http-client.ts'
import { contentOf, statusOf } from '../support/http-message.ts'
import { ScriptedOrigin } from '../support/scripted-origin.ts'
import { type RunningAgent, type System, startSystem } from '../support/start-system.ts'
import { SteadyWork } from '../support/steady-work.ts'
import { ask, eventually, newTicket, ticketRequest } from '../support/visits.ts'

const key = (): string => randomBytes(32).toString('hex')
const secretOf = (current: string, ...accepted: string[]): string => JSON.stringify({ current, accepted })
const idOf = (of: string): string => parseDeploymentKeys(secretOf(of)).current.id

const [old, fresh, hasty] = [key(), key(), key()]
/** Of openings, between two steps, by each worker. */
const BETWEEN = size(3, 20)
const WORKERS = size(1, 4, 2)

let system: System
let balancer: Balancer
let origin: ScriptedOrigin
/** Runs from before the walk to behind it. */
let standing: RunningAgent
/** Public ports of the tasks that run. */
let tasks: number[]

beforeAll(async () => {
  origin = await ScriptedOrigin.start()
  origin.play(async ({ connection, head, whole }) => {
    await whole()
    const path = head.startLine.split(' ')[1]!
    connection.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`)
  })
  system = await startSystem({ secret: secretOf(old) })
  tasks = [system.ports.public]
  balancer = await startBalancer(system.ports.channel)
  system.control.use({ channelPort: balancer.port })
  standing = await system.startAgent({ subdomain: 'standing', target: origin.port, server: system.controlUrl })
})

afterAll(async () => {
  await balancer?.stop()
  await system?.stop()
  await origin?.stop()
})

/** A request of a visitor, at the newest task; should that one not get it to the tunnel, at the other. */
async function visitAny(host: string, path: string): Promise<string> {
  for (const port of tasks.toReversed()) {
    const client = await HttpClient.open(port)
    const answer = await client.ask(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    client.close()
    if (statusOf(answer) === 200) return contentOf(answer).toString()
  }
  return 'no task has the tunnel'
}

/** A ticket and the channel it opens, by the protocol alone: the outcome of that one opening. */
const openOnce = async (worker: number): Promise<string> => tryOpening(await newTicket(system, `opening-${worker}`))

/** A tunnel by the agent's library, with a visitor, closed again: `welcome`, or why it had to try again or failed. */
async function openTunnel(worker: number): Promise<string> {
  const reasons: string[] = []
  const tunnel = await connect({
    server: system.server,
    token: await system.token('tester'),
    subdomain: `tunnel-${worker}`,
    target: origin.port,
    onStatus: (status) => {
      if (status.kind === 'waiting') reasons.push(status.why.code)
    },
  })
  const path = `/${randomBytes(6).toString('hex')}`
  const answered = await visitAny(new URL(tunnel.url).host, path)
  await tunnel.close()
  if (answered !== path) reasons.push(`visitor: ${answered}`)
  return reasons.join(', ') || 'welcome'
}

/** A ticket that a task refused because of the address, and what that task says of it, for the next ticket. */
async function observe(): Promise<{ refused: ChannelTicket; observation: string }> {
  const refused = await newTicket(system, 'observed')
  const opening = openChannel(await dial(refused, '127.0.0.2'), refused)
  const { observation } = await opening.then(
    () => expect.unreachable('the address was taken'),
    (fault) => fault,
  )
  return { refused, observation }
}

/** Opens a channel with a ticket that was given for the observation, and spends the refused one. */
async function openObserved({ refused, observation }: Awaited<ReturnType<typeof observe>>): Promise<string[]> {
  const bearer = `Bearer ${(await system.token('tester')).reveal()}`
  const body = { username: 'tester', subdomain: 'observed', observation }
  const answer = await ask(system, ticketRequest(system.base, bearer, body))
  const text = contentOf(answer).toString()
  const opened = statusOf(answer) === 200 ? await tryOpening(JSON.parse(text), '127.0.0.2') : text
  return [opened, await tryOpening(refused)]
}

/** Puts a new task in the place of the one that runs: beside it, then new connections, then the old one's end in order. */
async function roll(settled = async (): Promise<unknown> => undefined): Promise<void> {
  const leaving = system.dataPlane
  await system.startDataPlane()
  tasks.push(system.ports.public)
  balancer.lead(system.ports.channel)
  // The balancer has taken the old one out, and what was being opened there is open.
  await settled()
  leaving.kill('SIGTERM')
  expect(await leaving.exited).toEqual({ code: 0, signal: null })
  expect(leaving.stderr).toMatch(/"subdomain":"standing"[^\n]*"msg":"tunnel moved"/)
  tasks.shift()
}

const ticketsSealedBy = async (of: string): Promise<number> =>
  (await system.dumpTable()).toString().split(`"${idOf(of)}.`).length - 1

describe.sequential('the key of the deployment', { timeout: 300_000 }, () => {
  test('is changed in the order of the runbook without one opening refused', async () => {
    const began = performance.now()
    const openings = new SteadyWork(WORKERS, openOnce)
    const tunnels = new SteadyWork(WORKERS, openTunnel)
    const straddling: string[] = []

    /** What was given just before a step is used just after it. */
    const step = async (change: () => Promise<void>): Promise<void> => {
      await Promise.all([openings.again(BETWEEN), tunnels.again(BETWEEN)])
      const tickets = await Promise.all([1, 2, 3, 4, 5].map((n) => newTicket(system, `straddling-${n}`)))
      const observed = await observe()
      await change()
      straddling.push(...(await Promise.all(tickets.map((ticket) => tryOpening(ticket)))))
      straddling.push(...(await openObserved(observed)))
    }
    const rollUnderTraffic = (): Promise<void> => roll(() => Promise.all([openings.again(), tunnels.again()]))

    // 1. The new key is accepted by every task,
    await step(async () => {
      await system.giveDataPlanes(secretOf(old, fresh))
      await rollUnderTraffic()
    })
    // 2. before the control plane seals with it.
    let last: ChannelTicket | undefined
    await step(async () => {
      last = await newTicket(system, 'straddling-last')
      system.control.use({ secret: secretOf(fresh, old) })
    })
    // 3. Every ticket under the old key is used or over: two minutes at most; here, as soon as the table says so.
    expect(await ticketsSealedBy(old)).toBeGreaterThan(0)
    straddling.push(await tryOpening(last!))
    await eventually('no ticket is sealed with the old key', async () => (await ticketsSealedBy(old)) === 0)
    // 4. Tasks sign what they observe with the new key, too,
    await step(async () => {
      await system.giveDataPlanes(secretOf(fresh, old))
      await rollUnderTraffic()
    })
    // 5. before anybody drops the old one.
    await step(async () => {
      await system.giveDataPlanes(secretOf(fresh))
      system.control.use({ secret: secretOf(fresh) })
      await rollUnderTraffic()
    })
    await Promise.all([openings.again(BETWEEN), tunnels.again(BETWEEN)])
    await Promise.all([openings.stop(), tunnels.stop()])

    const refused = straddling.filter((outcome) => outcome !== 'welcome').length
    const sum = openings.count + tunnels.count + straddling.length
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    process.stdout.write(
      `key rotation: ${sum} openings (${openings.count} bare, ${tunnels.count} by the library with a visitor each, ` +
        `${straddling.length} begun before a step and ended behind it), ${refused} refused (${seconds} s)\n`,
    )
    expect(
      [...openings.outcomes.keys(), ...tunnels.outcomes.keys(), ...straddling].filter((o) => o !== 'welcome'),
    ).toEqual([])
    expect(sum).toBeGreaterThan(50 * WORKERS)

    // The agent that was there all the time was moved three times, each time at the first attempt, and before its channel went.
    expect(await visitAny(standing.host, '/still')).toBe('/still')
    expect(standing.process.stderr).not.toMatch(/reconnecting|back:|ticket-refused/)
  })

  test('opens nothing any more once it is dropped', async () => {
    system.control.use({ secret: secretOf(old, fresh) })
    expect(await openOnce(0)).toBe('ticket-refused')
    system.control.use({ secret: secretOf(fresh) })
    expect(await openOnce(0)).toBe('welcome')
  })

  test('in the wrong order refuses: the control plane before the tasks', async () => {
    system.control.use({ secret: secretOf(hasty, fresh) })
    const outcomes = await Promise.all(Array.from({ length: 10 }, (_, worker) => openOnce(worker)))
    process.stdout.write(
      `key rotation in the wrong order: ${outcomes.length} openings, of which refused: ${outcomes.filter((o) => o === 'ticket-refused').length}\n`,
    )
    expect(outcomes).toEqual(outcomes.map(() => 'ticket-refused'))

    await system.giveDataPlanes(secretOf(hasty, fresh))
    await roll()
    expect(await openOnce(0)).toBe('welcome')
  })
})
