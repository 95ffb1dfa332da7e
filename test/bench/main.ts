/** The benchmark's process: finds what is installed, starts it, measures, reports, stops it. `npm run bench -- --help` */
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { checkSystem } from './check.ts'
import { compare } from './comparison.ts'
import type { Contender, Subject } from './contender.ts'
import { direct } from './contenders/direct.ts'
import { nginx } from './contenders/nginx.ts'
import { postern } from './contenders/postern.ts'
import { spread } from './figures.ts'
import { socketGenerator } from './load/sockets.ts'
import { findWrk } from './load/wrk.ts'
import { describeMachine } from './machine.ts'
import { type BenchOptions, parseOptions, USAGE } from './options.ts'
import { buildOtherCommit } from './other-commit.ts'
import { record } from './record.ts'
import { markdownTable, tabulate } from './report.ts'
import { measureRounds, type Series } from './rounds.ts'
import { scenarios } from './scenarios.ts'
import { startOrigin } from './start-origin.ts'
import { summarise } from './statistics.ts'
import { judgeTargets } from './targets.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

/** The report as text, and what it was made of. */
async function bench(options: BenchOptions, command: string): Promise<{ text: string; series: Series[] }> {
  const begun = performance.now()
  const undo: (() => Promise<void>)[] = []
  try {
    const facts = new Map(await describeMachine(ROOT))
    const generator = (await findWrk()) ?? socketGenerator
    facts.set('load', generator.version)
    const contenders: Contender[] = [direct, nginx, postern('postern', ROOT, facts.get('Postern')!)]
    const other = options.against === undefined ? undefined : await buildOtherCommit(ROOT, options.against)
    if (other !== undefined) {
      undo.push(other.remove)
      contenders.push(postern(other.hash, other.root, `commit ${other.hash}`))
    }

    const origin = await startOrigin()
    undo.push(origin.stop)
    const systems = new Map<string, Subject>()
    for (const contender of contenders) {
      const finding = await contender.find()
      facts.set(contender.name, describe(contender, finding))
      if (finding.kind === 'missing') {
        say(`${contender.name}: ${facts.get(contender.name)}`)
        continue
      }
      const subject = await contender.start(origin)
      undo.push(subject.stop)
      systems.set(contender.name, subject)
      await checkSystem(contender.name, subject.target)
    }

    const { rounds, effort, warmUp } = options
    const chosen = scenarios(generator).filter(({ id }) => options.only?.includes(id) ?? true)
    const series = await measureRounds({
      systems,
      originPid: origin.pid,
      scenarios: chosen,
      rounds,
      effort,
      warmUp,
      progress: say,
    })
    const minutes = ((performance.now() - begun) / 60_000).toFixed(1)
    facts.set(
      'run',
      `\`${command}\`, ${rounds} rounds of ${effort.seconds} s or ${effort.megabytes} MB, ${minutes} minutes`,
    )

    facts.set('others', describeNoise(series))
    const parts = [markdownTable(tabulate(series)), judgeTargets(series).join('\n')]
    if (other !== undefined)
      parts.push(`This tree as a multiple of ${other.hash}:\n`, compare(series, 'postern', other.hash).join('\n'))
    parts.push([...facts].map(([name, value]) => `- ${name}: ${value}`).join('\n'))
    return { text: parts.join('\n\n'), series }
  } finally {
    for (const step of undo.reverse()) await step()
  }
}

const describe = ({ settings }: Contender, finding: Awaited<ReturnType<Contender['find']>>): string =>
  finding.kind === 'found' ? `${finding.version}: ${settings}` : `not installed, so not measured (${finding.remedy})`

function describeNoise(series: readonly Series[]): string {
  const shares = series.flatMap(({ samples }) => samples.map(({ others }) => others * 100))
  return `used ${spread(summarise(shares))} % of this machine during the measurements`
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args)
  if (options === undefined) {
    process.stdout.write(`${USAGE}\n`)
    return
  }
  const command = ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
  const { text, series } = await bench(options, command)
  process.stdout.write(`\n${text}\n`)
  const errors = series.flatMap(({ samples }) => samples).reduce((sum, sample) => sum + sample.errors, 0)
  if (errors > 0) throw new Error(`${errors} requests failed: these figures mean nothing and are not recorded`)
  if (options.record) say(`written to ${await record(text)}`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.exitCode = 1
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (isUsage || error instanceof RangeError) say(`${error.message}\n\n${USAGE}`)
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error))
})
