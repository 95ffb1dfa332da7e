/** A front of the embedded table that sees each call and decides what becomes of it. Knows nothing of who calls, nor why. */
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

export interface TableCall {
  /** `GetItem`, `Query`, … */
  readonly operation: string
  /** What IAM calls the leading key: the partition of the item, or the one a Query asks for. */
  readonly partition: string | undefined
}

/**
 * `pass`: it is carried out and answered. `lose`: it is carried out, and its answer never comes. `cut`: it never arrives, and its connection
 * is reset. `hang`: it never arrives, and nobody says so. `refuse`: it is answered with that error, and not carried out.
 */
type Treatment = 'pass' | 'lose' | 'cut' | 'hang' | { readonly refuse: string }

/** Is asked before the call is carried out. */
export type Treat = (call: TableCall) => Treatment | Promise<Treatment>

export interface TableFront {
  readonly endpoint: string
  /** For calls from now on. */
  use(treat: Treat): void
  stop(): Promise<void>
}

/** What AWS says when more is asked than a table gives. */
export const THROTTLED = { refuse: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException' }

/**
 * @param endpoint of the table itself
 * @param answered is awaited between the table's answer and the caller's
 */
export async function startTableFront(
  endpoint: string,
  first: Treat = () => 'pass',
  answered: (call: TableCall) => void | Promise<void> = () => undefined,
): Promise<TableFront> {
  let treat = first
  const { hostname, port } = new URL(endpoint)
  const agent = new http.Agent({ keepAlive: true })
  const server = http.createServer(async (request, response) => {
    request.on('error', () => undefined)
    const body = await buffer(request).catch(() => undefined)
    if (body === undefined) return
    const operation = String(request.headers['x-amz-target']).split('.').at(-1)!
    const call = { operation, partition: partitionOf(JSON.parse(body.toString())) }
    const treatment = await treat(call)
    if (treatment === 'hang') return
    if (treatment === 'cut') return void request.socket.resetAndDestroy()
    if (typeof treatment === 'object') {
      const refusal = JSON.stringify({ __type: treatment.refuse, message: 'refused by the test' })
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end(refusal)
      return
    }
    const { method, url, headers } = request
    const onward = http.request({ hostname, port, path: url, method, headers, agent })
    onward.on('error', () => request.socket.destroy())
    onward.on('response', async (answer) => {
      const said = await buffer(answer).catch(() => undefined)
      if (said === undefined) return void request.socket.destroy()
      await answered(call)
      if (treatment === 'lose') return void request.socket.resetAndDestroy()
      response.writeHead(answer.statusCode ?? 500, answer.headers).end(said)
    })
    onward.end(body)
  })
  // A client that keeps its connections finds them open.
  server.keepAliveTimeout = 60_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    use(next) {
      treat = next
    },
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      agent.destroy()
      await closed
    },
  }
}

interface Body {
  readonly Key?: { pk: { S: string } }
  readonly Item?: { pk: { S: string } }
  readonly KeyConditionExpression?: string
  readonly ExpressionAttributeValues?: Readonly<Record<string, { S?: string }>>
}

function partitionOf({ Key, Item, KeyConditionExpression = '', ExpressionAttributeValues = {} }: Body) {
  const named = /#pk\s*=\s*(:\w+)/.exec(KeyConditionExpression)?.[1]
  return Key?.pk.S ?? Item?.pk.S ?? (named === undefined ? undefined : ExpressionAttributeValues[named]?.S)
}
