/** What the figures ought to be, and whether they are. Knows the names of the systems and their processes. */
import { figure, spread } from './figures.ts'
import { cpuCost, ratioTo, YARDSTICK } from './report.ts'
import type { Series } from './rounds.ts'
import { paired, type Summary } from './statistics.ts'

/** A plain proxy's work and the sealing of a channel on top of it. */
const DATA_PLANE_TIMES_NGINX = 1.3
/** The agent parses nothing. */
const AGENT_TIMES_NGINX = 1.2
const ADDED_P50_MS = 0.25
/** Both tasks together: the second parses nothing again. */
const HOP_TIMES_LOCAL = 2.2

/** One line for each target that this run can judge, and one for each that it cannot. */
export function judgeTargets(all: readonly Series[]): string[] {
  const of = (id: string, system: string) => all.find((s) => s.scenario.id === id && s.system === system)
  const line = (what: string, measured: Summary | undefined, limit: number, unit: string): string => {
    if (measured === undefined) return `- ${what}: target ≤ ${limit}${unit}; not measured in this run`
    const verdict = measured.median <= limit ? 'met' : '**not met**'
    return `- ${what}: ${spread(measured)}${unit}, target ≤ ${figure(limit)}${unit}: ${verdict}`
  }
  const timesNginx = (process: string): Summary | undefined => {
    const [ours, theirs] = [of('small', 'postern'), of('small', YARDSTICK)]
    return ours && theirs && ratioTo(theirs, ours.samples, process)
  }
  const timesLocal = (): Summary | undefined => {
    const [hop, local] = [of('small', 'postern, by a hop'), of('small', 'postern')]
    const cost = ({ scenario, samples }: Series): number[] =>
      samples.map((sample) => cpuCost(scenario, sample, 'data plane'))
    return hop && local && paired(cost(hop), cost(local), (byHop, direct) => byHop / direct)
  }
  const [ours, bare] = [of('latency', 'postern'), of('latency', 'direct')]
  const p50s = (series: Series): number[] => series.samples.map(({ p50 }) => p50 ?? Number.NaN)
  const added = ours && bare && paired(p50s(ours), p50s(bare), (through, without) => through - without)
  return [
    line('CPU per small request, data plane', timesNginx('data plane'), DATA_PLANE_TIMES_NGINX, ' × nginx'),
    line('CPU per small request, agent', timesNginx('agent'), AGENT_TIMES_NGINX, ' × nginx'),
    line('CPU per small request by a hop, both tasks', timesLocal(), HOP_TIMES_LOCAL, ' × a local one'),
    line('added p50 latency, 1 connection', added, ADDED_P50_MS, ' ms'),
  ]
}
