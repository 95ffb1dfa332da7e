import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { problemOf } from '../api/problem.ts'
import { TunnelFault } from '../fault.ts'
import { newToken } from '../ticket/token.ts'
import { ApiClient } from './api-client.ts'

const token = newToken('admin', randomBytes)
let server: http.Server | undefined

afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

/** A client of a service that answers so, and the request lines that arrive there. */
async function clientOf(answer: http.RequestListener): Promise<{ client: ApiClient; seen: string[] }> {
  const seen: string[] = []
  server = http.createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { client: new ApiClient({ server: `http://127.0.0.1:${port}`, token, program: 'test/1' }), seen }
}

const nothing: http.RequestListener = (_, response) => response.writeHead(204).end()

describe('where a call goes', () => {
  test('a parameter is one segment of the path, whatever is in it', async () => {
    const { client, seen } = await clientOf(nothing)
    expect(await client.call('deleteUser', { params: { username: 'a/b?c#d e' } })).toBeUndefined()
    expect(seen).toEqual(['DELETE /v1/users/a%2Fb%3Fc%23d%20e'])
  })

  test.each(['', '.', '..'])('the parameter %j, which would address another call, is refused unsent', async (id) => {
    const { client, seen } = await clientOf(nothing)
    await expect(client.call('revokeToken', { params: { id } })).rejects.toMatchObject({ code: 'request-malformed' })
    expect(seen).toEqual([])
  })

  test('a query has what is given and nothing else', async () => {
    const { client, seen } = await clientOf((_, response) => response.end('{"items":[]}'))
    await client.call('listTokens', { query: { username: 'a&b', cursor: undefined } })
    await client.call('listTokens', {})
    expect(seen).toEqual(['GET /v1/tokens?username=a%26b', 'GET /v1/tokens'])
  })
})

describe('what a refusal says about trying again', () => {
  test('the Retry-After of the answer, where the problem itself names no time', async () => {
    const busy = new TunnelFault('store-unavailable')
    const { client } = await clientOf((_, response) =>
      response.writeHead(503, { 'retry-after': '3' }).end(JSON.stringify(problemOf(busy, 'r'))),
    )
    await expect(client.call('getMe', {})).rejects.toMatchObject({ code: 'store-unavailable', retryAfterMs: 3000 })
  })

  test('that of whoever stands before the service, too', async () => {
    const { client } = await clientOf((_, response) => response.writeHead(503, { 'retry-after': '1' }).end())
    await expect(client.call('getMe', {})).rejects.toMatchObject({ code: 'server-busy', retryAfterMs: 1000 })
  })

  test.each(['Sun, 06 Nov 1994 08:49:37 GMT', '-1', '1.5', '9'.repeat(20)])('nothing, for %j', async (field) => {
    const { client } = await clientOf((_, response) => response.writeHead(503, { 'retry-after': field }).end())
    const fault = await client.call('getMe', {}).catch((error) => error)
    expect([fault.code, fault.retryAfterMs]).toEqual(['server-busy', undefined])
  })
})

describe('an answer without a problem document', () => {
  test.each([429, 502, 503, 504])('of status %i is a server that is busy, which may be tried again', async (status) => {
    const { client } = await clientOf((_, response) => response.writeHead(status).end('{"message":"no"}'))
    const fault = await client.call('getMe', {}).catch((error) => error)
    expect(fault).toMatchObject({ code: 'server-busy', retryable: true, detail: expect.stringContaining(`${status}`) })
    expect(fault.message).not.toContain('is this the tunnel service')
  })

  test('of status 500 is one too if it is API Gateway’s', async () => {
    const { client } = await clientOf((_, response) =>
      response.writeHead(500).end('{"message":"Internal Server Error"}'),
    )
    await expect(client.call('getMe', {})).rejects.toMatchObject({ code: 'server-busy', retryable: true })
  })

  test('of status 500 may be another server otherwise', async () => {
    const { client } = await clientOf((_, response) => response.writeHead(500).end('{"error":"Internal Server Error"}'))
    await expect(client.call('getMe', {})).rejects.toMatchObject({ code: 'server-unreachable' })
  })

  test.each([404, 403])('of status %i may be another server', async (status) => {
    const { client } = await clientOf((_, response) => response.writeHead(status).end('{"message":"no"}'))
    await expect(client.call('getMe', {})).rejects.toMatchObject({ code: 'server-unreachable' })
  })
})
