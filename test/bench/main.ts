/** The benchmark's process: reads the command line, reports, and stops what was started, also when it is interrupted. */
import { benchmark, type Undo } from './benchmark.ts'
import { parseOptions, USAGE } from './options.ts'
import { record } from './record.ts'

const say = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args)
  if (options === undefined) {
    process.stdout.write(`${USAGE}\n`)
    return
  }
  const command = ['npm run bench', ...(args.length > 0 ? ['--', ...args] : [])].join(' ')
  const undo: Undo = []
  const running = benchmark(options, { command, undo, progress: say })
  const { text, errors } = await Promise.race([running, interrupted()]).finally(async () => {
    for (const step of undo.reverse()) await step()
  })
  process.stdout.write(`\n${text}\n`)
  if (errors > 0) throw new Error(`${errors} requests failed: these figures mean nothing and are not recorded`)
  if (options.record) say(`written to ${await record(text)}`)
}

/** Rejects when somebody asks for the end. */
const interrupted = (): Promise<never> =>
  new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(signal)))
  })

main(process.argv.slice(2)).catch((error: unknown) => {
  process.exitCode = 1
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
  if (isUsage || error instanceof RangeError) say(`${error.message}\n\n${USAGE}`)
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error))
})
