/** An agent whose local server says in each answer over which channel the request came, and whose claims and deliveries are in the history. Knows nothing of what is judged. */
import type { History, Owner } from '../history/history.ts'
import { startWitnessOrigin } from '../load/witness-origin.ts'
import { type PlainAgent, type PlainAgentOptions, startPlainAgent } from './plain-agent.ts'

export interface WitnessAgent extends PlainAgent {
  /** The channel that it opened last. */
  readonly owner: Owner | undefined
}

export interface WitnessOptions extends Pick<PlainAgentOptions, 'name' | 'server' | 'token' | 'holdMs'> {
  readonly history: History
  /** Who it is, for the history; the name unless told. */
  readonly agent?: string
}

export function startWitnessAgent({ history, agent, ...options }: WitnessOptions): WitnessAgent {
  const { name } = options
  const who = agent ?? name
  let latest: Owner | undefined
  const plain = startPlainAgent({
    ...options,
    // A local server for each channel: a connection to it can only have come over that one.
    async place() {
      let owner: Owner | undefined
      const origin = await startWitnessOrigin({ owner: () => owner, delivered: (event) => history.add(event) })
      return {
        port: origin.port,
        opened({ task, epoch, ticket, begun }) {
          owner = { task, epoch }
          latest = owner
          history.add({ kind: 'claimed', begun, at: performance.now(), name, agent: who, ticket, ...owner })
        },
        over: () => void origin.stop(),
      }
    },
    lost: (why) => history.note(who, `waits: ${why.code}`),
  })
  return {
    ...plain,
    get owner() {
      return latest
    },
  }
}
