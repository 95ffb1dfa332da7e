/** Requests at an even rate to tunnels in turn. No request is sent twice. */
import type { Deployment } from './deployment.ts'
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
  const inProgress = new Set<Promise<void>>()
  const reasons = new Map<string, number>()
  let [sent, requests, failed] = [0, 0, 0]
  const ask = async (number: number): Promise<void> => {
    const kept = number % FRESH_EVERY === 0 ? undefined : agent
    const { failure, body } = await visit({ url: urls[number % urls.length]!, visitors, agent: kept })
    const reason = failure ?? (body === expected ? undefined : 'a wrong body')
    requests += 1
    if (reason === undefined) return
    failed += 1
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  const timer = setInterval(() => {
    const asked = ask(sent).finally(() => inProgress.delete(asked))
    sent += 1
    inProgress.add(asked)
  }, 1000 / perSecond)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(inProgress)
      agent.destroy()
      return { requests, failed, reasons }
    },
  }
}
