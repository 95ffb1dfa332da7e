import { EventEmitter, once } from 'node:events'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { locateFlows, startFlowProbe } from './flow-probe.ts'
import { startLoad } from './load.ts'
import { visit } from './visit.ts'

const BODY = 'whole\n'
const undo: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const step of undo.splice(0)) await step()
})

/** A node and its balancer, as far as a visitor sees them. */
async function serve(answer: RequestListener) {
  const server = createServer(answer).listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  undo.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return { server, visitors: { address: '127.0.0.1', port: (server.address() as AddressInfo).port } }
}
const url = new URL('http://one.tunnel.example/path')

describe('a visit', () => {
  test('reaches the address of the deployment under the name of the tunnel', async () => {
    const { visitors } = await serve(({ headers, url: path }, response) => response.end(`${headers.host} ${path}`))
    expect(await visit({ url, visitors })).toMatchObject({
      ...{ status: 200, body: 'one.tunnel.example /path', failure: undefined, localAddress: '127.0.0.1' },
    })
  })

  test('gives the code and the id of a refused request', async () => {
    const { visitors } = await serve((_, response) =>
      response.writeHead(503, { 'Tunnel-Error': 'tunnel-offline', 'Postern-Request-Id': 'abc-01' }).end(),
    )
    expect(await visit({ url, visitors })).toMatchObject({ failure: '503 tunnel-offline', requestId: 'abc-01' })
  })

  test('that is cut or refused has failed', async () => {
    const { server, visitors } = await serve((_, response) => {
      response.writeHead(200, { 'content-length': 10 }).write('half')
      setImmediate(() => response.destroy())
    })
    expect((await visit({ url, visitors })).failure).toMatch(/^(200 cut|ECONNRESET)$/)
    await new Promise((resolve) => server.close(resolve))
    expect((await visit({ url, visitors })).failure).toBe('ECONNREFUSED')
  })
})

/** The same, with counts. `enough` follows the answer of that number, from 1 on. */
async function serveCounted(most: number, answer: (number: number, response: ServerResponse) => void) {
  const counts = { answered: 0, connections: 0 }
  const answers = new EventEmitter()
  const enough = once(answers, 'enough')
  const { server, visitors } = await serve((_, response) => {
    counts.answered += 1
    if (counts.answered === most) answers.emit('enough')
    answer(counts.answered, response)
  })
  server.on('connection', () => {
    counts.connections += 1
  })
  return { visitors, counts, enough }
}

test('a load counts every request, and each kind of failure', async () => {
  const { visitors, counts, enough } = await serveCounted(12, (number, response) => {
    if (number === 3) response.writeHead(502, { 'Tunnel-Error': 'origin-reset' })
    response.end(number === 5 ? 'wrong' : BODY)
  })
  const load = startLoad({ urls: [url], visitors, perSecond: 100, expected: BODY })
  await enough
  const { requests, failed, reasons } = await load.stop()
  expect(requests).toBe(counts.answered)
  expect(failed).toBe(2)
  expect([...reasons]).toEqual([
    ['502 origin-reset', 1],
    ['a wrong body', 1],
  ])
  expect(counts.connections).toBeLessThan(counts.answered)
})

test('a probe opens a connection for each request; the nodes are found by the beginnings of the ids', async () => {
  const { visitors, counts, enough } = await serveCounted(6, (number, response) => {
    const [status, fault] = number === 4 ? [503, 'tunnel-offline'] : [502, 'origin-invalid']
    const id = `${['first', 'second'][number % 2]}-${number}`
    response.writeHead(status, { 'Tunnel-Error': fault, 'Postern-Request-Id': id }).end()
  })
  const probe = startFlowProbe({ url, visitors, perSecond: 100 })
  await enough
  const probed = await probe.stop()
  expect(counts.connections).toBe(counts.answered)
  const searched: string[] = []
  const flows = await locateFlows(probed, async (requestId) => {
    searched.push(requestId)
    return requestId.startsWith('first') ? 'node-1' : undefined
  })
  expect(searched).toHaveLength(2)
  expect(flows.filter(({ failure }) => failure !== undefined)).toEqual([
    expect.objectContaining({ failure: '503 tunnel-offline', node: 'node-1' }),
  ])
  expect(flows.filter(({ node }) => node === undefined)).toHaveLength(Math.ceil(counts.answered / 2))
})
