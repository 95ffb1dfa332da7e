/** What is measured: each scenario loads one system for a while and says what was done. Knows no system. */
import type { Target } from './contender.ts'
import { download, upload } from './load/bulk.ts'
import type { LoadGenerator } from './load/load.ts'

export interface Effort {
  /** Of one small-request measurement. */
  readonly seconds: number
  /** Of one bulk transfer, in units of 1,000,000. */
  readonly megabytes: number
}

/** How much was done, and how it looked from outside. */
export interface Outcome {
  /** Requests, or GB of body. */
  readonly work: number
  /** Requests per second, or MB per second. */
  readonly rate: number
  /** Milliseconds; undefined where there is one request only. */
  readonly p50?: number | undefined
  readonly p99?: number | undefined
  readonly errors: number
}

export interface Scenario {
  readonly id: string
  readonly title: string
  readonly kind: 'requests' | 'bulk'
  run(target: Target, effort: Effort): Promise<Outcome>
}

const CONNECTIONS = 64

export const scenarios = (generator: LoadGenerator): readonly Scenario[] => [
  small('small', `small request, ${CONNECTIONS} connections`, CONNECTIONS, generator),
  small('latency', 'small request, 1 connection', 1, generator),
  bulk('download', 'download, 1 stream', download),
  bulk('upload', 'upload, 1 stream', upload),
]

const small = (id: string, title: string, connections: number, generator: LoadGenerator): Scenario => ({
  id,
  title,
  kind: 'requests',
  run: async (target, { seconds }) => {
    const report = await generator.run({ target, connections, seconds })
    const { requests, p50, p99, errors } = report
    return { work: requests, rate: requests / report.seconds, p50, p99, errors }
  },
})

const bulk = (id: string, title: string, transfer: typeof download): Scenario => ({
  id,
  title,
  kind: 'bulk',
  run: async (target, { megabytes }) => {
    const seconds = await transfer(target, megabytes * 1e6)
    return { work: megabytes / 1000, rate: megabytes / seconds, errors: 0 }
  },
})
