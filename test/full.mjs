/**
 * `npm run test:full [-- part …]`: every part of the tests at its full size, and what it came to into docs/reliability.md.
 * Knows nothing of what the parts do.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = join(root, 'docs/reliability.md')
const BEGIN = '<!-- full run: begin -->'
const END = '<!-- full run: end -->'
const FUZZ_SECONDS = 600

const vitest = (...projects) => ['npx', 'vitest', 'run', ...projects.flatMap((project) => ['--project', project])]

/** In this order, one after the other: figures of one part must not be those of a machine that another one keeps busy. */
const PARTS = {
  unit: vitest('unit', 'contract', 'scaled'),
  // One file at a time, for the same reason.
  hostile: [...vitest('hostile'), '--no-file-parallelism'],
  load: ['npm', 'run', '-s', 'test:load'],
  system: vitest('system', 'hop'),
  cluster: vitest('cluster'),
  interop: ['npm', 'run', '-s', 'test:interop'],
  suites: ['npm', 'run', '-s', 'test:suites'],
  fuzz: ['npm', 'run', '-s', 'fuzz', '--', '--seconds', String(FUZZ_SECONDS)],
}

const asked = process.argv.slice(2)
const unknown = asked.filter((part) => !Object.hasOwn(PARTS, part))
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'postern-full-'))
const countsFile = join(folder, 'counts.jsonl')
const results = []
for (const [part, command] of Object.entries(PARTS)) {
  if (asked.length > 0 && !asked.includes(part)) continue
  const result = await run(part, command)
  console.log(`\n${part}: ${result.passed ? 'passed' : 'FAILED'} in ${result.seconds} s\n`)
  results.push(result)
}
const rows = existsSync(countsFile)
  ? readFileSync(countsFile, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
  : []
rmSync(folder, { recursive: true, force: true })

const report = reportOf(results, rows)
console.log(report)
if (asked.length === 0 || rows.length > 0) writeInto(page, report)
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1

/** Shows what the part says, and keeps it. */
async function run(part, [program, ...args]) {
  const began = performance.now()
  const env = { ...process.env, POSTERN_FULL: '1', POSTERN_COUNTS: countsFile, FORCE_COLOR: '0' }
  const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const [from, to] of [
    [child.stdout, process.stdout],
    [child.stderr, process.stderr],
  ]) {
    from.setEncoding('utf8').on('data', (text) => {
      said += text
      to.write(text)
    })
  }
  const status = await new Promise((resolve) => child.once('close', resolve))
  const seconds = Math.round((performance.now() - began) / 1000)
  return { part, passed: status === 0, seconds, sum: sumOf(stripVTControlCharacters(said)) }
}

/** The counts that the part ends with: those of vitest, or of the fuzzer. */
function sumOf(said) {
  const tests = /^\s*Tests\s+(.+?)\s*\(\d+\)\s*$/m.exec(said)
  if (tests) return `tests: ${tests[1].replaceAll(/\s*\|\s*/g, ', ')}`
  const total = (name) =>
    [...said.matchAll(new RegExp(`^\\s*${name}: (\\d+)`, 'gm'))].reduce((sum, [, n]) => sum + Number(n), 0)
  return `${total('cases').toLocaleString('en')} cases, ${total('found')} findings`
}

function reportOf(parts, counts) {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim()
  const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes'
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'})`
  return [
    `${new Date().toISOString().slice(0, 10)}, commit ${git('rev-parse', '--short', 'HEAD')}${changed}, Node ${process.version}, ${machine}.`,
    '',
    '| part | result | seconds | counts |',
    '|---|---|---|---|',
    ...parts.map(
      ({ part, passed, seconds, sum }) => `| ${part} | ${passed ? 'passed' : '**failed**'} | ${seconds} | ${sum} |`,
    ),
    '',
    '| row | counts | seconds | seed |',
    '|---|---|---|---|',
    ...counts
      .filter(({ row }) => row !== undefined)
      .sort((a, b) => a.row - b.row)
      .map(({ row, counts: sum, seconds, seed }) => `| ${row} | ${sum} | ${seconds} | ${seed} |`),
    ...suiteTable(counts.filter(({ suite }) => suite !== undefined)),
  ].join('\n')
}

const suiteTable = (suites) =>
  suites.length === 0
    ? []
    : [
        '',
        '| suite | counts | seconds |',
        '|---|---|---|',
        ...suites.map(({ suite, counts: sum, seconds }) => `| ${suite} | ${sum} | ${seconds} |`),
      ]

function writeInto(file, text) {
  const old = readFileSync(file, 'utf8')
  const from = old.indexOf(BEGIN)
  const to = old.indexOf(END)
  if (from < 0 || to < from) throw new Error(`${file} has lost its markers`)
  writeFileSync(file, `${old.slice(0, from)}${BEGIN}\n${text}\n${old.slice(to)}`)
}
