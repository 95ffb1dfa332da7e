/** Measures every scenario on every system, interleaved, so that what slows the machine down for a while hits all alike. */
import type { Subject } from './contender.ts'
import { type CpuTime, cpuTimeBetween, cpuTimeOf } from './cpu-time.ts'
import { readMachine, shareOfOthers } from './machine-noise.ts'
import type { Effort, Outcome, Scenario } from './scenarios.ts'

/** One scenario on one system in one round. */
export interface Sample extends Outcome {
  /** What each process used for it, in seconds. */
  readonly cpu: ReadonlyMap<string, CpuTime>
  /** Share of the machine that somebody else used meanwhile, 0 to 1. */
  readonly others: number
}

export interface Series {
  readonly scenario: Scenario
  readonly system: string
  /** One for each round. */
  readonly samples: readonly Sample[]
}

export interface RoundsOptions {
  readonly systems: ReadonlyMap<string, Subject>
  readonly originPid: number
  readonly scenarios: readonly Scenario[]
  readonly rounds: number
  readonly effort: Effort
  /** Before the rounds, so that no system is measured while it is still being compiled. */
  readonly warmUp: Effort
  progress(text: string): void
}

/** Each round goes through the systems in another order: what one leaves behind is not always the same one's burden. */
export async function measureRounds(options: RoundsOptions): Promise<Series[]> {
  const { systems, originPid, scenarios, rounds, effort, warmUp, progress } = options
  const series = scenarios.flatMap((scenario) =>
    [...systems].map(([system, subject]) => ({ scenario, system, subject, samples: [] as Sample[] })),
  )
  for (const { scenario, system, subject } of series) {
    progress(`warming up: ${scenario.title}, ${system}`)
    await scenario.run(subject.target, warmUp)
  }
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      const row = series.filter((entry) => entry.scenario === scenario)
      for (let n = 0; n < row.length; n++) {
        const { system, subject, samples } = row[(n + round) % row.length]!
        progress(`round ${round + 1} of ${rounds}: ${scenario.title}, ${system}`)
        samples.push(await measure(scenario, subject, originPid, effort))
      }
    }
  }
  return series.map(({ scenario, system, samples }) => ({ scenario, system, samples }))
}

async function measure(scenario: Scenario, subject: Subject, originPid: number, effort: Effort): Promise<Sample> {
  const { target, processes } = subject
  const pids = [originPid, ...[...processes.values()].flat()]
  const quiet = readMachine(pids)
  const before = readAll(processes)
  const outcome = await scenario.run(target, effort)
  const after = readAll(processes)
  const others = shareOfOthers(quiet, readMachine(pids))
  const cpu = new Map([...after].map(([name, time]) => [name, cpuTimeBetween(before.get(name)!, time)]))
  return { ...outcome, cpu, others }
}

const readAll = (processes: Subject['processes']): Map<string, CpuTime> =>
  new Map([...processes].map(([name, pids]) => [name, cpuTimeOf(pids)]))
