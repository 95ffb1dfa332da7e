/** What happened to the tasks of an experiment, line by line, and how the requests fared by then; printed, and kept for docs/. Knows nothing of the experiment. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { History } from './history/history.ts'
import type { VisitorLoad } from './load/visitor-load.ts'

const PAGE = fileURLToPath(new URL('../../docs/rolling-replacement.md', import.meta.url))
const HEAD = `# A rolling replacement, as it went

Written by row 7 of [reliability.md](reliability.md) at its full size (\`test/cluster/rolling-replacement.test.ts\`, a part of \`npm run test:full\`): three
tasks are replaced one after the other, as a deployment does it, under a steady load. Requests are those that were over by then; a request fails
if it is answered by an error of ours, cut or refused.

`
/** A line at least so often. */
const PROGRESS_MS = 10_000

/** Writes from now on. @returns ends; `keep`: into docs/ */
export function writeRecording(history: History, tally: VisitorLoad['tally']): { end(keep: boolean): void } {
  const began = performance.now()
  const lines: string[] = []
  const write = (who: string, what: string): void => {
    const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(7)
    const requests = `${tally.over} requests`.padStart(16)
    lines.push(`${seconds} s  ${who.padEnd(8)} ${what.padEnd(62)} ${requests}  ${tally.failed} failed`)
  }
  const progress = setInterval(() => write('', ''), PROGRESS_MS)
  const unfollow = history.follow((event) => {
    if (event.kind === 'noted') write(event.who, event.what)
  })
  write('', 'begins')
  return {
    end(keep) {
      clearInterval(progress)
      unfollow()
      write('', 'is over')
      process.stdout.write(`${lines.join('\n')}\n`)
      if (keep) writeFileSync(PAGE, `${HEAD}\`\`\`\n${lines.map((line) => line.trimEnd()).join('\n')}\n\`\`\`\n`)
    },
  }
}
