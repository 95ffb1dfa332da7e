/** Requests at an even rate to tunnels in turn. No request is sent twice. */
import type { Deployment } from './deployment.ts'
import { atEvenRate } from './even-rate.ts'
import type { Tally } from './requests.ts'
import { agentFor, visit } from './visit.ts'

export interface LoadOptions {
  readonly urls: readonly URL[]
  readonly visitors: Deployment['visitors']
  readonly perSecond: number
  /** The body of every response. */
  readonly expected: string
}

/** As many as a browser opens. */
const CONNECTIONS = 6
/** Every fourth request has a connection of its own; the others reuse connections. */
const FRESH_EVERY = 4

/** Begins at once. `stop` waits for the requests in progress. */
export function startLoad({ urls, visitors, perSecond, expected }: LoadOptions): { stop(): Promise<Tally> } {
  const agent = agentFor(urls[0]!, CONNECTIONS)
  const reasons = new Map<string, number>()
  let [sent, requests, failed] = [0, 0, 0]
  const ask = async (): Promise<void> => {
    const number = sent++
    const kept = number % FRESH_EVERY === 0 ? undefined : agent
    const { failure, body } = await visit({ url: urls[number % urls.length]!, visitors, agent: kept })
    const reason = failure ?? (body === expected ? undefined : 'a wrong body')
    requests += 1
    if (reason === undefined) return
    failed += 1
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const rate = atEvenRate(perSecond, ask)
  return {
    async stop() {
      await rate.stop()
      agent.destroy()
      return { requests, failed, reasons }
    },
  }
}
