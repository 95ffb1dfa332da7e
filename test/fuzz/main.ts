/**
 * `npm run fuzz -- [--cases N] [--seconds N] [--seed S] [--kind requests,responses,visits] [--case kind:seed]`:
 * our reading of HTTP/1.1 against node:http's, and visits through the request path against a model of what may come of them.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { asExpected, readCorpus } from './corpus.ts'
import { FUZZ_KINDS, type FuzzKind, makeCase } from './fuzz-case.ts'
import { HttpDifferential } from './run-cases.ts'
import { addTally, emptyTally, type Tally } from './verdict.ts'
import { runVisit } from './visits/visit-case.ts'
import type { Order } from './worker.ts'

/** What is run of each kind unless told otherwise: some minutes on two cores. */
const USUAL_CASES = { requests: 5_000_000, responses: 5_000_000, visits: 200_000 }

/** More of one kind teach nothing. */
const FINDINGS_SHOWN = 10

const { values } = parseArgs({
  options: {
    cases: { type: 'string' },
    seconds: { type: 'string' },
    seed: { type: 'string' },
    kind: { type: 'string' },
    case: { type: 'string' },
  },
})

function kindOf(text: string): FuzzKind {
  const kind = FUZZ_KINDS.find((known) => known === text)
  if (kind === undefined) throw new Error(`no kind ${text}: ${FUZZ_KINDS.join(' or ')}`)
  return kind
}

async function showCase(text: string): Promise<boolean> {
  const [name = '', seed = ''] = text.split(':')
  const kind = kindOf(name)
  if (kind === 'visits') {
    const { plan, notes, findings } = await runVisit(Number(seed), true)
    console.log(JSON.stringify(plan, null, 2))
    console.log([...notes, ...findings].join('\n'))
    return findings.length === 0
  }
  const fuzzCase = makeCase(kind, Number(seed))
  const differential = new HttpDifferential()
  const verdict = await differential.judge(fuzzCase)
  differential.close()
  console.log(JSON.stringify({ case: fuzzCase, verdict }, null, 2))
  return verdict.kind !== 'finding'
}

async function replayCorpus(): Promise<boolean> {
  const differential = new HttpDifferential()
  const entries = readCorpus()
  let clean = true
  for (const entry of entries) {
    const verdict = await differential.judge(entry.case)
    if (asExpected(entry, verdict)) continue
    clean = false
    console.log(`corpus ${entry.name}: ${JSON.stringify(verdict)} instead of ${entry.rule ?? 'accepted'}`)
  }
  differential.close()
  console.log(`corpus: ${entries.length} cases replayed`)
  return clean
}

function runShard(order: Order, add: (kind: FuzzKind, tally: Tally) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = fork(new URL('./worker.ts', import.meta.url), {
      execArgv: [...process.execArgv, '--expose-gc'],
      // Infinity survives only this one.
      serialization: 'advanced',
    })
    let answers = 0
    worker.on('message', ({ kind, tally }: { kind: FuzzKind; tally: Tally }) => {
      answers++
      add(kind, tally)
    })
    worker.once('error', reject)
    worker.once('close', (code) => {
      if (code === 0 && answers === order.kinds.length) resolve()
      else reject(new Error(`shard ${order.shard} ended with ${code} after ${answers} answers`))
    })
    worker.send(order)
  })
}

/** Infinite `cases` or `seconds`: as far as the other goes. */
interface Extent {
  /** Of all kinds together; undefined: as usual. */
  readonly cases: number | undefined
  readonly seconds: number
}

const extentOf = ({ cases, seconds }: Extent): string =>
  [
    cases === undefined ? 'the usual cases' : cases < Infinity ? `${cases} cases` : '',
    seconds < Infinity ? `${seconds} s` : '',
  ]
    .filter(Boolean)
    .join(', at most ')

async function fuzz({ cases, seconds }: Extent, seed: number, kinds: readonly FuzzKind[]): Promise<boolean> {
  const shards = availableParallelism()
  console.log(`seed ${seed}, ${shards} processes, ${extentOf({ cases, seconds })}`)
  const sums = new Map<FuzzKind, Tally>(kinds.map((kind) => [kind, emptyTally()]))
  const inTotal = (kind: FuzzKind): number => (cases === undefined ? USUAL_CASES[kind] : cases / kinds.length)
  const perShard = FUZZ_KINDS.map((kind) => [kind, Math.ceil(inTotal(kind) / shards)])
  const share = { cases: Object.fromEntries(perShard), seconds: seconds / kinds.length }
  const orders = Array.from({ length: shards }, (_, shard) => ({ kinds, seed, shard, shards, ...share }))
  await Promise.all(orders.map((order) => runShard(order, (kind, tally) => addTally(sums.get(kind)!, tally))))

  let clean = true
  for (const [kind, { findings, ...counts }] of sums) {
    console.log(`${kind}:`, counts)
    for (const finding of findings.slice(0, FINDINGS_SHOWN)) {
      console.log(`  --case ${kind}:${finding.seed}\n    ${finding.what}\n    ${JSON.stringify(finding.message)}`)
    }
    if (counts.found > 0) clean = false
  }
  return clean
}

const given = (text: string | undefined): number => (text === undefined ? Infinity : Number(text))
const extent: Extent = {
  cases: values.cases === undefined && values.seconds === undefined ? undefined : given(values.cases),
  seconds: given(values.seconds),
}
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)
const kinds = values.kind === undefined ? FUZZ_KINDS : values.kind.split(',').map(kindOf)
const clean =
  values.case === undefined ? (await replayCorpus()) && (await fuzz(extent, seed, kinds)) : await showCase(values.case)
process.exitCode = clean ? 0 : 1
