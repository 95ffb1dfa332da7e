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
 * process (memory layout, what was compiled when: 10 % were seen), in another order: one commit beside itself was 5 % dearer where
 * it always started first. It then goes through them there and back, so that neither who is first nor what drifts counts.
 */
export async function measureRounds(options: RoundsOptions): Promise<Series[]> {
  const series = options.scenarios.flatMap((scenario) =>
    options.contenders.map(({ name }) => ({ scenario, system: name, samples: [] as Sample[] })),
  )
  for (let round = 0; round < options.rounds; round++) {
    const systems = new Map<string, Subject>()
    try {
      for (const contender of rotated(options.contenders, round)) {
        options.progress(`round ${round + 1} of ${options.rounds}: starting ${contender.name}`)
        const subject = await contender.start(options.origin)
        systems.set(contender.name, subject)
        await checkSystem(contender.name, subject.target)
        for (const scenario of options.scenarios) await scenario.run(subject.target, options.warmUp)
      }
      for (const scenario of options.scenarios) {
        const there = rotated(
          series.filter((entry) => entry.scenario === scenario),
          round,
        )
        const turns = new Map<string, Sample>()
        for (const { system } of [...there, ...there.toReversed()]) {
          options.progress(`round ${round + 1} of ${options.rounds}: ${scenario.title}, ${system}`)
          const sample = await measure(scenario, systems.get(system)!, options.origin.pid, half(options.effort))
          const before = turns.get(system)
          turns.set(system, before === undefined ? sample : together(before, sample))
        }
        for (const { system, samples } of there) samples.push(turns.get(system)!)
      }
    } finally {
      for (const subject of systems.values()) await subject.stop()
    }
  }
  return series
}

const rotated = <T>(items: readonly T[], by: number): T[] => items.map((_, n) => items[(n + by) % items.length]!)

const half = ({ seconds, megabytes }: Effort): Effort => ({ seconds: seconds / 2, megabytes: megabytes / 2 })

/** Two turns of equal effort as one sample. */
function together(one: Sample, other: Sample): Sample {
  const mean = (of: (sample: Sample) => number | undefined): number | undefined => {
    const [left, right] = [of(one), of(other)]
    return left === undefined || right === undefined ? undefined : (left + right) / 2
  }
  return {
    work: one.work + other.work,
    errors: one.errors + other.errors,
    rate: (one.rate + other.rate) / 2,
    p50: mean(({ p50 }) => p50),
    p99: mean(({ p99 }) => p99),
    cpu: new Map([...one.cpu].map(([name, time]) => [name, sumOf(time, other.cpu.get(name)!)])),
    others: (one.others + other.others) / 2,
  }
}

const sumOf = (one: CpuTime, other: CpuTime): CpuTime => ({
  user: one.user + other.user,
  system: one.system + other.system,
})

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
