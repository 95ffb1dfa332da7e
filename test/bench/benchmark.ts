/** One whole run: contenders found, started, proven and measured, and what came of it as text. Knows nothing of the process. */
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { measureColdStart } from './cold-start/cold-start.ts'
import { reportColdStart } from './cold-start/report.ts'
import { compare } from './comparison.ts'
import type { Contender } from './contender.ts'
import { direct } from './contenders/direct.ts'
import { nginx } from './contenders/nginx.ts'
import { postern, posternByHop } from './contenders/postern.ts'
import { spread } from './figures.ts'
import { socketGenerator } from './load/sockets.ts'
import { findWrk } from './load/wrk.ts'
import { describeMachine } from './machine.ts'
import type { BenchOptions } from './options.ts'
import { buildOtherCommit } from './other-commit.ts'
import { markdownTable, tabulate } from './report.ts'
import { measureRounds, type Series } from './rounds.ts'
import { scenarios } from './scenarios.ts'
import { startOrigin } from './start-origin.ts'
import { summarise } from './statistics.ts'
import { judgeTargets } from './targets.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What was started and has to be stopped, the latest first. */
export type Undo = (() => Promise<void>)[]

export interface BenchmarkContext {
  /** As it was typed, for the report. */
  readonly command: string
  /** Takes a step for each thing that is started; whoever calls runs them, however this ends. */
  readonly undo: Undo
  progress(text: string): void
}

/** The report as text, and how many requests failed. */
export async function benchmark(
  options: BenchOptions,
  { command, undo, progress }: BenchmarkContext,
): Promise<{ text: string; errors: number }> {
  const begun = performance.now()
  const wants = (id: string): boolean => options.only?.includes(id) ?? true
  const facts = new Map(await describeMachine(ROOT))
  const generator = (await findWrk()) ?? socketGenerator
  facts.set('load', generator.version)
  const ours = facts.get('Postern')!
  const wanted: Contender[] = [
    direct,
    nginx,
    postern('postern', ROOT, ours),
    posternByHop('postern, by a hop', ROOT, ours),
  ]
  const other = options.against === undefined ? undefined : await buildOtherCommit(ROOT, options.against)
  if (other !== undefined) {
    undo.push(other.remove)
    wanted.push(postern(other.hash, other.root, `commit ${other.hash}`))
  }
  const contenders: Contender[] = []
  for (const contender of wanted) {
    const finding = await contender.find()
    facts.set(contender.name, describe(contender, finding))
    if (finding.kind === 'found') contenders.push(contender)
    else progress(`${contender.name}: ${facts.get(contender.name)}`)
  }

  const origin = await startOrigin()
  undo.push(origin.stop)
  const { rounds, effort, warmUp } = options
  const chosen = scenarios(generator).filter(({ id }) => wants(id))
  const loaded = chosen.length > 0
  const series = loaded
    ? await measureRounds({ contenders, origin, scenarios: chosen, rounds, effort, warmUp, progress })
    : []
  if (wants('cold-start')) progress('cold start of the Lambda')
  const coldStart = wants('cold-start') ? await measureColdStart(ROOT, options.coldStarts) : undefined
  const minutes = ((performance.now() - begun) / 60_000).toFixed(1)
  facts.set(
    'run',
    `\`${command}\`, ${rounds} rounds, each with processes started anew, of ${effort.seconds} s or ${effort.megabytes} MB; ${minutes} minutes`,
  )

  const parts: string[] = []
  if (loaded) {
    facts.set('others', describeNoise(series))
    parts.push(markdownTable(tabulate(series)), judgeTargets(series).join('\n'))
  }
  if (coldStart !== undefined) parts.push(reportColdStart(coldStart))
  if (other !== undefined)
    parts.push(`This tree as a multiple of ${other.hash}:\n`, compare(series, 'postern', other.hash).join('\n'))
  parts.push([...facts].map(([name, value]) => `- ${name}: ${value}`).join('\n'))
  const errors = series.flatMap(({ samples }) => samples).reduce((sum, sample) => sum + sample.errors, 0)
  return { text: parts.join('\n\n'), errors }
}

const describe = ({ settings }: Contender, finding: Awaited<ReturnType<Contender['find']>>): string =>
  finding.kind === 'found' ? `${finding.version}: ${settings}` : `not installed, so not measured (${finding.remedy})`

function describeNoise(series: readonly Series[]): string {
  const shares = series.flatMap(({ samples }) => samples.map(({ others }) => others * 100))
  return `used ${spread(summarise(shares))} % of this machine during the measurements`
}
