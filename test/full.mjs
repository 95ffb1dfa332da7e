/**
 * `npm run test:full [-- part …]`: every part of the tests at its full size, and what each came to into docs/reliability.md, with
 * the commit that it ran on. Parts that are not asked for keep what the page says of them. Knows nothing of what the parts do.
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
const FUZZ_SECONDS = 300
const VISITS = 1_000_000

/** By the Node that runs this file. */
const vitest = (...projects) => [
  process.execPath,
  'node_modules/vitest/vitest.mjs',
  'run',
  ...projects.flatMap((project) => ['--project', project]),
]

/** In this order, one after the other: figures of one part must not be those of a machine that another one keeps busy. */
const PARTS = {
  unit: vitest('unit', 'contract', 'scaled'),
  // Early, since most runs that failed did so here.
  fuzz: ['npm', 'run', '-s', 'fuzz', '--', '--kind', 'requests,responses', '--seconds', String(FUZZ_SECONDS)],
  visits: ['npm', 'run', '-s', 'fuzz', '--', '--kind', 'visits', '--cases', String(VISITS)],
  // One file at a time, for the same reason.
  hostile: [...vitest('hostile'), '--no-file-parallelism'],
  load: ['npm', 'run', '-s', 'test:load'],
  system: vitest('system', 'patient', 'hop'),
  cluster: vitest('cluster'),
  interop: ['npm', 'run', '-s', 'test:interop'],
  suites: ['npm', 'run', '-s', 'test:suites'],
}

const asked = process.argv.slice(2)
const unknown = asked.filter((part) => !Object.hasOwn(PARTS, part))
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(', ')}; there are ${Object.keys(PARTS).join(', ')}`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'postern-full-'))
let passed = true
for (const [part, command] of Object.entries(PARTS)) {
  if (asked.length > 0 && !asked.includes(part)) continue
  const countsFile = join(folder, `${part}.jsonl`)
  const result = await run(part, command, countsFile)
  console.log(`\n${part}: ${result.passed ? 'passed' : 'FAILED'} in ${result.seconds} s\n`)
  passed &&= result.passed
  writeInto(page, part, reportOf(result, countsIn(countsFile)))
}
rmSync(folder, { recursive: true, force: true })
process.exitCode = passed ? 0 : 1

function countsIn(file) {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  return lines.map((line) => JSON.parse(line))
}

/** Shows what the part says, and keeps it. */
async function run(part, [program, ...args], countsFile) {
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
  const memory = [...said.matchAll(/most: ([\d.]+)/g)].map(([, mebibytes]) => Number(mebibytes))
  const inUse = memory.length > 0 ? `, at most ${Math.max(...memory)} MiB in use by a process` : ''
  return `${total('cases').toLocaleString('en')} cases, ${total('found')} findings${inUse}`
}

/** One part's section of the page. */
function reportOf({ part, passed, seconds, sum }, counts) {
  const git = (...args) => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim()
  // The run writes into docs/ itself.
  const changed = git('status', '--porcelain', '--untracked-files=no', ':!docs') === '' ? '' : ' with changes'
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'})`
  const when = `${new Date().toISOString().slice(0, 10)}, commit ${git('rev-parse', '--short', 'HEAD')}${changed}, Node ${process.version}, ${machine}`
  const rows = counts.filter(({ row }) => row !== undefined).sort((a, b) => a.row - b.row)
  const suites = counts.filter(({ suite }) => suite !== undefined)
  return [
    `### ${part}: ${passed ? 'passed' : '**failed**'}`,
    '',
    `${sum}; ${seconds} s. ${when}.`,
    ...table(
      ['row', 'counts', 'seconds', 'seed'],
      rows.map(({ row, counts: found, seconds: took, seed }) => [row, found, took, seed]),
    ),
    ...table(
      ['suite', 'counts', 'seconds'],
      suites.map(({ suite, counts: found, seconds: took }) => [suite, found, took]),
    ),
  ].join('\n')
}

function table(head, rows) {
  if (rows.length === 0) return []
  const line = (cells) => `| ${cells.join(' | ')} |`
  return ['', line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)]
}

/** Puts the section of the part in place of its former one, in the order of PARTS. */
function writeInto(file, part, section) {
  const old = readFileSync(file, 'utf8')
  const begin = old.indexOf(BEGIN)
  const from = begin + BEGIN.length
  const to = old.indexOf(END)
  if (begin < 0 || to < from) throw new Error(`${file} has lost its markers`)
  const sections = new Map(
    old
      .slice(from, to)
      .split(/^(?=### )/m)
      .map((text) => [/^### (\w+):/.exec(text)?.[1], text.trim()]),
  )
  sections.set(part, section)
  const kept = Object.keys(PARTS).flatMap((name) => sections.get(name) ?? [])
  writeFileSync(file, `${old.slice(0, from)}\n${kept.join('\n\n')}\n${old.slice(to)}`)
}
