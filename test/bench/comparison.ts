/** One system against another, round by round. Knows the units of the report, not which two systems it is given. */
import { cpuCost } from './report.ts'
import type { Series } from './rounds.ts'
import { paired, type Summary } from './statistics.ts'

/** One line for the rate of each scenario and one for the CPU time of each process in it: what `subject` has, as a multiple of `base`. */
export function compare(all: readonly Series[], subject: string, base: string): string[] {
  return all
    .filter(({ system }) => system === subject)
    .flatMap(({ scenario, samples }) => {
      const other = all.find((series) => series.scenario === scenario && series.system === base)
      if (other === undefined) return []
      const ratio = (of: (sample: (typeof samples)[number]) => number): Summary =>
        paired(samples.map(of), other.samples.map(of), (ours, theirs) => ours / theirs)
      const lines = [`- ${scenario.title}, rate: × ${three(ratio(({ rate }) => rate))}`]
      for (const process of samples[0]!.cpu.keys()) {
        const cost = ratio((sample) => cpuCost(scenario, sample, process))
        lines.push(`- ${scenario.title}, CPU of the ${process}: × ${three(cost)}: ${verdict(cost)}`)
      }
      return lines
    })
}

/** What two runs of one commit differ by, at most. */
const NOISE = 1.05

/** One of the two alone may be an accident of some rounds. */
const verdict = ({ median, lowerQuartile }: Summary): string =>
  median > NOISE && lowerQuartile > NOISE ? '**worse**' : 'no worse'

/** A change of some percent is what this is for. */
const three = ({ median, lowerQuartile, min, max }: Summary): string => {
  const [middle, lower, least, most] = [median, lowerQuartile, min, max].map((value) => value.toFixed(3))
  return `${middle}, lower quartile ${lower} (${least}–${most})`
}
