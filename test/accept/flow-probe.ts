/** Opens connections at an even rate, and finds out which node accepted each. */
import type { Deployment } from './deployment.ts'
import { atEvenRate } from './even-rate.ts'
import type { Flow } from './late-flows.ts'
import { visit } from './visit.ts'

export interface FlowProbeOptions {
  /** Leads to a response that is invalid: the node that accepted the connection logs the id of the request with the fault. */
  readonly url: URL
  readonly visitors: Deployment['visitors']
  readonly perSecond: number
}

export interface ProbedFlow {
  readonly at: number
  readonly requestId: string | undefined
  readonly failure: string | undefined
}

const ANSWER = '502 origin-invalid'

/** Begins at once. `stop` waits for the requests in progress. */
export function startFlowProbe({ url, visitors, perSecond }: FlowProbeOptions): { stop(): Promise<ProbedFlow[]> } {
  const flows: ProbedFlow[] = []
  const open = async (): Promise<void> => {
    const at = Date.now()
    const { failure, requestId } = await visit({ url, visitors })
    flows.push({ at, requestId, failure: failure === ANSWER ? undefined : (failure ?? '200') })
  }
  const rate = atEvenRate(perSecond, open)
  return {
    async stop() {
      await rate.stop()
      return flows
    },
  }
}

/**
 * Names the node of each flow. All ids of one process begin with the same digits (data-plane/src/proxy/request-ids.ts), so
 * one search of the logs per node is enough.
 */
export async function locateFlows(
  flows: readonly ProbedFlow[],
  nodeOf: (requestId: string) => Promise<string | undefined>,
): Promise<Flow[]> {
  const nodes = new Map<string, string | undefined>()
  for (const { requestId } of flows) {
    if (requestId === undefined || nodes.has(prefixOf(requestId))) continue
    nodes.set(prefixOf(requestId), await nodeOf(requestId))
  }
  return flows.map(({ at, failure, requestId }) => ({
    at,
    failure,
    node: requestId === undefined ? undefined : nodes.get(prefixOf(requestId)),
  }))
}

const prefixOf = (requestId: string): string => requestId.split('-', 1)[0]!
