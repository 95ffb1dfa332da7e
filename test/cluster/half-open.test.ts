/** Fault 14 of docs/reliability.md: half-open TCP. Packets between an agent and the service are dropped, and nobody is told. */
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { chance as chanceOf, tell } from '../hostile/experiment.ts'
import { type FarMachine, startFarMachine, whyNoFarMachine } from '../support/far-machine.ts'
import { size } from '../support/full-size.ts'
import { askOnce } from '../support/http-client.ts'
import { statusOf } from '../support/http-message.ts'
import { type Relay, startRelay } from '../support/relay.ts'
import type { RunningAgent } from '../support/start-system.ts'
import { type ClusterRun, startRun, waitFor } from './cluster-run.ts'
import { startWitnessOrigin } from './load/witness-origin.ts'

const TASKS = 2
const AGENTS = size(1, 10)
const NOTICED_MS = 30_000
/** A start of a process and an opening: nobody waits for a time limit here. */
const FREE_MS = 5000
const RELAY = fileURLToPath(new URL('../support/relay-main.ts', import.meta.url))

const why = whyNoFarMachine()
let run: ClusterRun | undefined
let far: FarMachine | undefined
const undo: (() => unknown)[] = []
afterAll(async () => {
  for (const step of undo.reverse()) await step()
  await run?.stop()
  far?.remove()
})

test.skipIf(why)(
  `row 14: an agent and a task that lost each other without a word both notice, and the name is free for its owner at once${why ? ` (left out: ${why})` : ''}`,
  async () => {
    const began = performance.now()
    far = startFarMachine()
    run = await startRun({ tasks: TASKS, timeScale: 1, chance: chanceOf(14), channelHost: far.here })
    const { cluster } = run
    const { system, service, balancer } = cluster
    const origin = await startWitnessOrigin()
    undo.push(() => origin.stop())

    // Tickets are asked for over https in earnest; in clear an agent does so on its own machine alone.
    const control: Relay = await startRelay(far.here, { host: '127.0.0.1', port: system.control.port })
    undo.push(() => control.stop())
    const inside = system.run({
      name: 'relay',
      args: ['--import', import.meta.resolve('tsx'), RELAY, '127.0.0.1', far.here, String(control.port)],
      prefix: far.prefix,
    })
    const server = `http://127.0.0.1:${await inside.firstLine()}`
    const farOrigin = await startRelay(far.here, { host: '127.0.0.1', port: origin.port })
    undo.push(() => farOrigin.stop())
    const originThere = system.run({
      name: 'relay',
      args: ['--import', import.meta.resolve('tsx'), RELAY, '127.0.0.1', far.here, String(farOrigin.port)],
      prefix: far.prefix,
    })
    const target = await originThere.firstLine()
    const start = (subdomain: string): Promise<RunningAgent> =>
      system.startAgent({ subdomain, server, target, prefix: far!.prefix })
    const ask = async (host: string): Promise<number> =>
      statusOf(await askOnce(balancer.ports.public, `GET /r/x HTTP/1.1\r\nHost: ${host}\r\n\r\n`))

    const silent: RunningAgent[] = []
    const contested: RunningAgent[] = []
    for (let index = 0; index < AGENTS; index += 1) {
      silent.push(await start(`silent-${index}`))
      contested.push(await start(`contested-${index}`))
    }
    for (const { host } of [...silent, ...contested]) expect(await ask(host), `${host} at first`).toBe(200)

    const logs = (): string => service.tasks.map(({ process }) => process.stderr).join('\n')
    const overAt = new Map<string, number>()
    const noticedAt = new Map<string, number>()
    const said = new Map(silent.map((agent) => [agent.host, agent.process.stderr.length]))
    far.cut()
    const cutAt = performance.now()

    // The same person starts the tunnel elsewhere, at once.
    const free: number[] = []
    for (const [index, { host }] of contested.entries()) {
      const since = performance.now()
      const taker = await cluster.startAgent({ subdomain: `contested-${index}`, target: origin.port })
      expect(await ask(host), `${host} taken`).toBe(200)
      free.push(performance.now() - since)
      undo.push(() => taker.process.stop())
    }
    await waitFor(
      'both sides have noticed',
      () => {
        for (const { host, process } of silent) {
          const name = host.split('.')[0]
          if (!overAt.has(host) && new RegExp(`"subdomain":"${name}"[^\n]*"tunnel over"`).test(logs()))
            overAt.set(host, performance.now() - cutAt)
          if (!noticedAt.has(host) && process.stderr.length > said.get(host)!)
            noticedAt.set(host, performance.now() - cutAt)
        }
        return overAt.size === AGENTS && noticedAt.size === AGENTS
      },
      2 * NOTICED_MS,
    )

    far.mend()
    const mendedAt = performance.now()
    for (const { host } of silent)
      await waitFor(`${host} is back`, async () => (await ask(host)) === 200, 2 * NOTICED_MS)
    const back = performance.now() - mendedAt
    const exits = await Promise.all(contested.map(({ process }) => process.exited))
    const most = (times: Iterable<number>): number => Math.round(Math.max(...times))
    tell(
      14,
      `${AGENTS} channels cut off by dropped packets: the task noticed after ${most(overAt.values())} ms at most, the agent after ` +
        `${most(noticedAt.values())} ms; ${AGENTS} names taken by their owner from elsewhere meanwhile, served after ${most(free)} ms at most; ` +
        `all back ${Math.round(back)} ms after the packets passed again, ${exits.filter(({ code }) => code === 4).length} of ${AGENTS} losers ended with exit code 4`,
      began,
    )
    expect(Math.max(...overAt.values())).toBeLessThanOrEqual(NOTICED_MS)
    expect(Math.max(...noticedAt.values())).toBeLessThanOrEqual(NOTICED_MS)
    expect(Math.max(...free)).toBeLessThanOrEqual(FREE_MS)
    expect(exits.map(({ code }) => code)).toEqual(Array.from({ length: AGENTS }, () => 4))
  },
  300_000,
)
