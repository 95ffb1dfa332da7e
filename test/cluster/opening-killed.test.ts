/** Fault 11 of docs/reliability.md: SIGKILL between each pair of steps of opening and claiming. */
import { setTimeout as delay } from 'node:timers/promises'
import { parseServer } from '@postern/protocol/client'
import { ENV } from '@postern/protocol/environment'
import { type ChannelTicket, Secret } from '@postern/protocol/ticket'
import { afterAll, expect, test, vi } from 'vitest'
import { ControlClient } from '../../agent/src/control-client.ts'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { FaultProxy } from '../support/fault-proxy/fault-proxy.ts'
import { limitData } from '../support/fault-proxy/limit-data.ts'
import { askOnce } from '../support/http-client.ts'
import { fieldOf, statusOf } from '../support/http-message.ts'
import { startRecordingRelay } from '../support/recording-relay.ts'
import { startTableFront, type TableCall } from '../support/table-front.ts'
import type { TestProcess } from '../support/test-process.ts'
import { type ClusterRun, quantile, startRun, waitFor } from './cluster-run.ts'
import { dialOnce } from './fleet/dial-once.ts'
import { judge } from './history/judge.ts'
import { startWitnessOrigin } from './load/witness-origin.ts'

const SURVIVORS = 2
/** For the agents too, which are of this process. */
const TIME_SCALE = vi.hoisted(() => {
  process.env.POSTERN_TIME_SCALE = '0.2'
  return 0.2
})
const ORPHAN_MS = 60_000 * TIME_SCALE
const OFFLINE = '503 tunnel-offline'
/** What belongs to an opening, and not to what a task does all the time. */
const OF_AN_OPENING = /^(TICKET#|ROUTE#|TUNNELS$|NODE-AUDIT#)/

let run: ClusterRun | undefined
const undo: (() => unknown)[] = []
afterAll(async () => {
  await run?.stop()
  for (const step of undo.reverse()) await step()
})

type Side = 'before' | 'after'

/** A task of which each call for an opening is told before it is carried out and before it is answered. */
interface Victim {
  readonly process: TestProcess
  readonly channelPort: number
  readonly calls: readonly string[]
}

async function startVictim(
  { cluster }: ClusterRun,
  taskId: string,
  dies?: { readonly step: number; readonly side: Side },
): Promise<Victim> {
  const { system } = cluster
  const calls: string[] = []
  let process: TestProcess | undefined
  const isOpening = ({ partition = '' }: TableCall): boolean => OF_AN_OPENING.test(partition)
  const kill = async (): Promise<void> => {
    process!.kill('SIGKILL')
    await process!.exited
  }
  let waiting: TableCall | undefined
  const front = await startTableFront(
    system.tableEnv.AWS_ENDPOINT_URL_DYNAMODB!,
    async (call) => {
      if (!isOpening(call)) return 'pass'
      calls.push(`${call.operation} ${call.partition!.replace(/#.*/s, '#…')}`)
      if (dies === undefined || calls.length - 1 !== dies.step) return 'pass'
      waiting = call
      if (dies.side === 'after') return 'pass'
      await kill()
      return 'cut'
    },
    async (call) => {
      if (call === waiting && dies?.side === 'after') await kill()
    },
  )
  undo.push(() => front.stop())
  process = await cluster.startTask(taskId, {
    AWS_ENDPOINT_URL_DYNAMODB: front.endpoint,
    [ENV.proxyProtocol]: 'optional',
  })
  const { channel } = JSON.parse(await process.firstLine())
  return { process, channelPort: channel.port, calls }
}

test('row 11: killed between any two steps of an opening, no ticket works twice, no route is orphaned, and the agent recovers', async () => {
  const began = performance.now()
  run = await startRun({ tasks: SURVIVORS, timeScale: TIME_SCALE, chance: chanceOf(11) })
  const { cluster, history, witness } = run
  const { system, balancer } = cluster
  const origin = await startWitnessOrigin()
  undo.push(() => origin.stop())
  const token = (await system.token('tester')).reveal()
  const control = new ControlClient({ server: parseServer(cluster.server), token: new Secret(token), version: '0.0.0' })
  const newTicket = (subdomain: string): Promise<ChannelTicket> =>
    control.ticket({ username: 'tester', subdomain }, new AbortController().signal)
  const dial = (name: string, ticket: ChannelTicket, port: number) =>
    dialOnce(ticket, port, { name, originPort: origin.port, history })
  const ask = async (name: string): Promise<string> => {
    const request = `GET /r/x HTTP/1.1\r\nHost: ${name}.${system.base}\r\n\r\n`
    const answer = await askOnce(balancer.ports.public, request)
    return `${statusOf(answer)} ${fieldOf(answer, 'tunnel-error') ?? ''}`.trim()
  }
  const recoveredAfter: number[] = []
  const recovers = async (name: string): Promise<void> => {
    const since = performance.now()
    const agent = await witness(name)
    // A task that was asked a moment ago still has it in mind that nothing serves the name (ROUTE_ABSENT_MS).
    await waitFor(`${name} is served after its agent came back`, async () => (await ask(name)) === '200')
    recoveredAfter.push(performance.now() - since)
    await agent.stop()
  }
  const orphans: string[] = []
  let [spentByTheDead, usedElsewhere, usedByNobody] = [0, 0, 0]
  /** The ticket once more, on a task that lives. */
  const useAgain = async (name: string, ticket: ChannelTicket, first: string): Promise<void> => {
    const again = await dial(name, ticket, balancer.ports.channel)
    if (first === 'welcome') spentByTheDead += 1
    else if (again.outcome === 'welcome') usedElsewhere += 1
    else usedByNobody += 1
    again.channel?.leave(0)
    await again.channel?.ended
  }

  // Which steps there are is what an opening does that nobody disturbs.
  const rehearsal = await startVictim(run, 'rehearsal')
  const undisturbed = await dial('rehearsal', await newTicket('rehearsal'), rehearsal.channelPort)
  expect(undisturbed.outcome).toBe('welcome')
  await delay(500)
  const steps = [...rehearsal.calls]
  await rehearsal.process.stop(0)
  expect(steps.length).toBeGreaterThanOrEqual(4)

  // The task dies before and after each of them.
  for (const [step] of steps.entries()) {
    for (const side of ['before', 'after'] as const) {
      const name = `step-${step}-${side}`
      const victim = await startVictim(run, `victim-${step}-${side}`, { step, side })
      const ticket = await newTicket(name)
      const { outcome } = await dial(name, ticket, victim.channelPort)
      await victim.process.exited
      await useAgain(name, ticket, outcome)
      if ((step + (side === 'after' ? 1 : 0)) % 2 === 0) await recovers(name)
      else orphans.push(name)
    }
  }

  // The agent dies behind each flight that it sends.
  const relay = await startRecordingRelay(() => ({ host: '127.0.0.1', port: balancer.ports.channel }))
  const whole = await dial('flights', await newTicket('flights'), relay.port)
  expect(whole.outcome).toBe('welcome')
  const flights = relay.recordings[0]!.fromClient.map(({ length }) => length)
  whole.channel!.leave(0)
  await relay.stop()
  for (const [flight] of flights.entries()) {
    const name = `flight-${flight}`
    const sent = flights.slice(0, flight + 1).reduce((sum, length) => sum + length, 0)
    const path = await FaultProxy.start(balancer.ports.channel, { toServer: [limitData(sent)] })
    const ticket = await newTicket(name)
    const { outcome } = await dial(name, ticket, path.port)
    await path.stop()
    await useAgain(name, ticket, outcome)
    if (flight % 2 === 0) await recovers(name)
    else orphans.push(name)
  }

  // A route whose task or agent died leads nowhere after a minute: its visitors are answered at once, and are not sent there.
  await delay(ORPHAN_MS)
  const answers = await Promise.all(orphans.map(async (name) => [name, await ask(name)] as const))
  for (const name of orphans) await recovers(name)
  const violations = judge(history.events)
  tell(
    11,
    `a task killed before and after each of ${steps.length} steps (${steps.join(', ')}), an agent behind each of its ${flights.length} flights: of these ` +
      `tickets ${spentByTheDead} had opened for the dead, ${usedElsewhere} opened elsewhere afterwards, ${usedByNobody} for nobody, 0 twice; ` +
      `${orphans.length} names left alone: ${answers.filter(([, answer]) => answer === OFFLINE).length} known to have no agent ` +
      `${ORPHAN_MS / 1000} s later; agents back after ${Math.round(quantile(recoveredAfter, 1))} ms at most; ${violations.length} violations; time × ${TIME_SCALE}`,
    began,
  )
  expect(violations).toEqual([])
  expect(answers.filter(([, answer]) => answer !== OFFLINE)).toEqual([])
  expect(Math.max(...recoveredAfter)).toBeLessThanOrEqual(ORPHAN_MS)
}, 600_000)
