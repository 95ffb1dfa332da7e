/** The embedded table behind the rights of a role: a call that they do not allow is refused as AWS refuses it. Knows nothing of who calls. */
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { allows, type Statement } from '../../cdk/lib/testing/rights.ts'

export interface GuardedTable {
  readonly endpoint: string
  /** `Query TASKS`, `GetItem TICKET#…`: every call and the kind of its partition. */
  readonly allowed: ReadonlySet<string>
  readonly refused: ReadonlySet<string>
  stop(): Promise<void>
}

export async function guardTable(endpoint: string, rights: readonly Statement[]): Promise<GuardedTable> {
  const allowed = new Set<string>()
  const refused = new Set<string>()
  const server = http.createServer(async (request, response) => {
    const body = await buffer(request)
    const call = String(request.headers['x-amz-target']).split('.').at(-1)!
    const partition = partitionOf(JSON.parse(body.toString()))
    const may = allows(rights, { action: `dynamodb:${call}`, leadingKeys: partition === undefined ? [] : [partition] })
    ;(may ? allowed : refused).add(`${call} ${partition?.replace(/#.*/s, '#…')}`)
    if (!may) {
      const refusal = { __type: 'com.amazon.coral.service#AccessDeniedException', message: 'not allowed' }
      response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(refusal))
      return
    }
    const { method, url, headers } = request
    const onward = http.request(new URL(url ?? '/', endpoint), { method, headers })
    onward.on('error', () => response.destroy())
    onward.on('response', (answer: IncomingMessage) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    onward.end(body)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    allowed,
    refused,
    async stop() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
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

/** What IAM calls the leading key: that of the item, or what a Query asks the partition key to equal. */
function partitionOf({ Key, Item, KeyConditionExpression = '', ExpressionAttributeValues = {} }: Body) {
  const named = /#pk\s*=\s*(:\w+)/.exec(KeyConditionExpression)?.[1]
  return Key?.pk.S ?? Item?.pk.S ?? (named === undefined ? undefined : ExpressionAttributeValues[named]?.S)
}
