/** Measures every scenario on every system, interleaved, so that what slows the machine down for a while hits all alike. */
import { checkSystem } from './check.ts'
import type { Contender, Subject } from './contender.ts'
import { type CpuTime, cpuTimeBetween, cpuTimeOf } from './cpu-time.ts'
import { readMachine, shareOfOthers } from './machine-noise.ts'
import type { Effort, Outcome, Scenario } from './scenarios.ts'
import type { RunningOrigin } from './start-origin.ts'

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
  readonly contenders: readonly Contender[]
  readonly origin: RunningOrigin
  readonly scenarios: readonly Scenario[]
  readonly rounds: number
  readonly effort: Effort
  /** Of each scenario, so that no system is measured while it is still being compiled. */
  readonly warmUp: Effort
  progress(text: string): void
}

/**
 * Each round starts every system anew, because two processes of one program differ by more than two measurements of one
 * process (memory layout, what was compiled when: 10 % were seen), and goes through them in another order.
 */
export async function measureRounds(options: RoundsOptions): Promise<Series[]> {
  const series = options.scenarios.flatMap((scenario) =>
    options.contenders.map(({ name }) => ({ scenario, system: name, samples: [] as Sample[] })),
  )
  for (let round = 0; round < options.rounds; round++) {
    const systems = new Map<string, Subject>()
    try {
      for (const contender of options.contenders) {
        options.progress(`round ${round + 1} of ${options.rounds}: starting ${contender.name}`)
        const subject = await contender.start(options.origin)
        systems.set(contender.name, subject)
        await checkSystem(contender.name, subject.target)
        for (const scenario of options.scenarios) await scenario.run(subject.target, options.warmUp)
      }
      for (const scenario of options.scenarios) {
        const row = series.filter((entry) => entry.scenario === scenario)
        for (let n = 0; n < row.length; n++) {
          const { system, samples } = row[(n + round) % row.length]!
          options.progress(`round ${round + 1} of ${options.rounds}: ${scenario.title}, ${system}`)
          samples.push(await measure(scenario, systems.get(system)!, options.origin.pid, options.effort))
        }
      }
    } finally {
      for (const subject of systems.values()) await subject.stop()
    }
  }
  return series
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
