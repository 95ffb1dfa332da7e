/** The calls an administrator makes: reads are tried again when the service asks for it, lists are read to their end. Knows nothing of commands. */
import type { OperationId } from '@postern/protocol/api'
import { OPERATIONS } from '@postern/protocol/api'
import type { AnswerOf, ApiClient, Given } from '@postern/protocol/client'
import { TunnelFault } from '@postern/protocol/fault'
import { MOST_PAGE_ITEMS, READ_AGAIN_TIMES, READ_AGAIN_WAIT_MS } from '@postern/protocol/limits'

/** Calls that answer a page. */
export type ListId = {
  [Id in OperationId]: AnswerOf<Id> extends { items: readonly unknown[] } ? Id : never
}[OperationId]
type ItemOf<Id extends ListId> = AnswerOf<Id> extends { items: readonly (infer T)[] } ? T : never

interface PageOf<T> {
  readonly items: readonly T[]
  readonly next?: string
}

export interface AdminApiOptions {
  readonly client: Pick<ApiClient, 'call'>
  /** Resolves after so many milliseconds. */
  readonly wait: (ms: number) => Promise<unknown>
}

export class AdminApi {
  readonly #options: AdminApiOptions

  constructor(options: AdminApiOptions) {
    this.#options = options
  }

  /**
   * A call that changes something is made once: whether a failed one was carried out is for its person to look up.
   * @throws TunnelFault as `ApiClient.call`
   */
  async call<Id extends OperationId>(id: Id, given: Given<Id>): Promise<AnswerOf<Id>> {
    const { client, wait } = this.#options
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await client.call(id, given)
      } catch (error) {
        const pause = OPERATIONS[id].method === 'GET' && attempt < READ_AGAIN_TIMES ? pauseAsked(error) : undefined
        if (pause === undefined) throw error
        await wait(pause)
      }
    }
  }

  /** Every item, page after page. @throws TunnelFault as `call` */
  async list<Id extends ListId>(id: Id, query: Given<Id>['query']): Promise<ItemOf<Id>[]> {
    const items: ItemOf<Id>[] = []
    let cursor: string | undefined
    do {
      const page = { ...query, limit: String(MOST_PAGE_ITEMS), ...(cursor !== undefined && { cursor }) }
      // What all lists have; for a list that is not known yet the compiler sees only that it is one of them.
      const answer = (await this.call(id, { query: page } as unknown as Given<Id>)) as unknown as PageOf<ItemOf<Id>>
      items.push(...answer.items)
      if (answer.next !== undefined && answer.next === cursor)
        throw new TunnelFault('server-unreachable', 'The list has no end: its cursor stands still.')
      cursor = answer.next
    } while (cursor !== undefined)
    return items
  }
}

/** Milliseconds, where the service says when to come back and that is soon. */
function pauseAsked(error: unknown): number | undefined {
  if (!(error instanceof TunnelFault) || !(error.status === 429 || error.status === 503)) return undefined
  const { retryAfterMs } = error
  return retryAfterMs !== undefined && retryAfterMs <= READ_AGAIN_WAIT_MS ? retryAfterMs : undefined
}
