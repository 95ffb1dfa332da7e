/** Prints what it costs to keep the record of a request: to count it, to write its line, to say its times, in CPU time. Run: npx tsx test/bench/records.bench.ts */
import { AccessLog } from '../../data-plane/src/ops/access-log.ts'
import { LineWriter } from '../../data-plane/src/ops/line-writer.ts'
import { TaskCounts } from '../../data-plane/src/ops/task-counts.ts'
import { RequestIds } from '../../data-plane/src/proxy/request-ids.ts'
import { RequestRecord } from '../../data-plane/src/proxy/request-record.ts'

const ROUNDS = 7
const REQUESTS_PER_ROUND = 500_000
const CONNECTIONS = 64

/** What the operating system charged this process: a busy machine does not change it much. */
function cpuNanoseconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1000
}

/** Best and median CPU nanoseconds of one call, over rounds. */
async function measure(title: string, call: (i: number) => void): Promise<void> {
  const perCall: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const begin = cpuNanoseconds()
    for (let i = 0; i < REQUESTS_PER_ROUND; i++) {
      call(i)
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    perCall.push((cpuNanoseconds() - begin) / REQUESTS_PER_ROUND)
  }
  perCall.sort((a, b) => a - b)
  console.log(
    `${title.padEnd(48)} ${perCall[0]!.toFixed(0).padStart(6)} ns best ${perCall[ROUNDS >> 1]!.toFixed(0).padStart(6)} ns median`,
  )
}

const now = () => performance.now()
const counts = new TaskCounts({ standing: () => [], linesDropped: () => 0 })
const writer = new LineWriter({ outlet: (_bytes, done) => void setImmediate(done, undefined, false) })
const log = new AccessLog({
  base: 'example.com',
  query: false,
  lines: writer,
  clock: Date.now,
  now,
})
const ids = new RequestIds('0123456789ab')
const path = '/api/items/42?expand=all'
const sent = { pathBuffer: Buffer.from(path), pathFrom: 0, pathTo: path.length }
const head = { method: 'GET', host: 'demo.example.com', path, ...sent }
const records = Array.from({ length: CONNECTIONS }, () => new RequestRecord('203.0.113.7', now))

let timings = 0
const keep = (i: number): RequestRecord => {
  const record = records[i % CONNECTIONS]!
  record.admitted(record.begin(ids.next(), head, 120, 'HTTP/1.1'), 0.1)
  record.answered(200)
  record.bytesOut += 300
  return record
}
const kept = (i: number): RequestRecord => {
  const record = keep(i)
  record.over('whole', record.answeredAt)
  return record
}
await measure('nothing but the turns and the id', () => {
  timings += ids.next().length
})
await measure('a record, kept', (i) => void kept(i))
await measure('… with its times for Server-Timing', (i) => {
  const record = keep(i)
  timings += record.serverTiming.length
  record.over('whole', record.answeredAt)
})
await measure('… counted', (i) => counts.requestOver(kept(i)))
await measure('… written as a line', (i) => log.over(kept(i)))
console.log(`${counts.requestTimes.count} counted, ${timings} characters, ${writer.dropped} lines dropped`)
