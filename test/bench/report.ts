/** Turns samples into one table of text. Knows the units of each kind of scenario, nothing of how they were measured. */
import type { CpuTime } from './cpu-time.ts'
import { figure, spread } from './figures.ts'
import type { Sample, Series } from './rounds.ts'
import type { Scenario } from './scenarios.ts'
import { paired, summarise } from './statistics.ts'

/** CPU time per unit of work: µs per request, seconds per GB. */
const CPU_UNIT = { requests: { factor: 1e6, name: 'µs/request' }, bulk: { factor: 1, name: 's/GB' } } as const
const RATE_UNIT = { requests: '/s', bulk: ' MB/s' } as const

/** The yardstick of the last column. */
export const YARDSTICK = 'nginx'

const HEADINGS = ['measured', 'system', 'rate', 'p50 ms', 'p99 ms', 'process', 'CPU', 'user + system', `× ${YARDSTICK}`]

/** Rows of cells, the first is the heading. One row for each process of each system in each scenario. */
export function tabulate(all: readonly Series[]): string[][] {
  return [
    HEADINGS,
    ...all.flatMap((series) => {
      const { scenario, system, samples } = series
      const errors = samples.reduce((sum, sample) => sum + sample.errors, 0)
      const seen = [
        scenario.title,
        system,
        spread(summarise(samples.map(({ rate }) => rate))) + RATE_UNIT[scenario.kind],
        optionalSpread(samples.map(({ p50 }) => p50)),
        optionalSpread(samples.map(({ p99 }) => p99)),
      ]
      if (errors > 0) seen[2] += `, **${errors} errors**`
      const processes = [...samples[0]!.cpu.keys()]
      if (processes.length === 0) return [[...seen, '', '', '', '']]
      const yardstick = all.find((other) => other.scenario === scenario && other.system === YARDSTICK)
      return processes.map((process, n) => [
        ...(n === 0 ? seen : ['', '', '', '', '']),
        process,
        ...cpuCells(scenario, samples, process),
        yardstick === undefined || yardstick === series ? '' : spread(ratioTo(yardstick, samples, process)),
      ])
    }),
  ]
}

/** CPU time per unit of work of one process in one sample. */
export function cpuCost(scenario: Scenario, { cpu, work }: Sample, process: string): number {
  const { user, system } = cpu.get(process) ?? missing(process)
  return ((user + system) / work) * CPU_UNIT[scenario.kind].factor
}

/** How many times the yardstick's CPU a process took, round by round. */
export const ratioTo = (yardstick: Series, samples: readonly Sample[], process: string) =>
  paired(
    samples.map((sample) => cpuCost(yardstick.scenario, sample, process)),
    yardstick.samples.map((sample) => cpuCost(yardstick.scenario, sample, YARDSTICK)),
    (ours, theirs) => ours / theirs,
  )

function cpuCells(scenario: Scenario, samples: readonly Sample[], process: string): [string, string] {
  const { factor, name } = CPU_UNIT[scenario.kind]
  const part = (of: keyof CpuTime): string =>
    figure(
      summarise(samples.map(({ cpu, work }) => ((cpu.get(process)?.[of] ?? missing(process)) / work) * factor)).median,
    )
  const whole = summarise(samples.map((sample) => cpuCost(scenario, sample, process)))
  return [`${spread(whole)} ${name}`, `${part('user')} + ${part('system')}`]
}

const optionalSpread = (values: readonly (number | undefined)[]): string => {
  const known = values.filter((value) => value !== undefined)
  return known.length === 0 ? '' : spread(summarise(known))
}

function missing(process: string): never {
  throw new Error(`no CPU time of ${process}`)
}

/** Rows as a markdown table, its columns padded so that it can be read as it stands. */
export function markdownTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  const [headings, ...body] = rows
  return [line(headings!), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...body.map(line)].join('\n')
}
