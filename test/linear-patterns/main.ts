/** Refuses regular expressions that are not linear, in all packages that see a peer's bytes: a part of `npm run check`. Prints each with its line. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { patternsIn } from './patterns-in.ts'
import { superLinear } from './super-linear.ts'

/** Where the packages are: this repository, unless named. */
const ROOT = process.argv[2] ?? fileURLToPath(new URL('../..', import.meta.url))
const PACKAGES = ['protocol', 'control-plane', 'data-plane', 'agent', 'admin', 'canary']
const TESTS = /\.test\.ts$|\/testing\//

const files = PACKAGES.flatMap((name) => ['src', 'bin'].map((folder) => `${name}/${folder}`))
  .flatMap((folder) => filesIn(folder))
  .filter((file) => /\.[jt]s$/.test(file) && !TESTS.test(file))

let patterns = 0
let refused = 0
for (const file of files) {
  for (const { line, pattern } of patternsIn(file, readFileSync(join(ROOT, file), 'utf8'))) {
    patterns++
    const why = pattern === undefined ? 'made when the program runs: not judged' : superLinear(pattern)
    if (why === undefined) continue
    refused++
    console.error(`${file}:${line} ${pattern === undefined ? '' : `/${pattern.source}/${pattern.flags} `}${why}`)
  }
}
// A checker that finds nothing to judge has lost its sources.
if (patterns === 0) throw new Error('no regular expression was found')
console.log(`${patterns} regular expressions in ${files.length} files, ${refused} refused.`)
if (refused > 0) process.exitCode = 1

function filesIn(folder: string): string[] {
  try {
    return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => `${folder}/${file}`)
  } catch (error) {
    // Not every package has both folders.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
