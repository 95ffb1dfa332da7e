import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { problemOf } from '@postern/protocol/api'
import { TunnelFault } from '@postern/protocol/fault'
import { newToken } from '@postern/protocol/ticket'
import { afterEach, describe, expect, test } from 'vitest'
import { ControlClient } from './control-client.ts'

const token = newToken('user', randomBytes)
const signal = new AbortController().signal
const ticket = {
  port: 7000,
  workerId: 'a'.repeat(24),
  encryptionKeyText: '0f'.repeat(32),
  host: '127.0.0.1',
  url: 'https://demo.example.com',
  expiresAt: '2026-01-01T00:00:00.000Z',
  seenIp: '127.0.0.1',
  protocol: 1,
}

let server: http.Server | undefined
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
})

async function client(answer: http.RequestListener): Promise<ControlClient> {
  server = http.createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return new ControlClient({ server: `http://127.0.0.1:${port}`, token, version: '9.9.9' })
}

const json = (response: http.ServerResponse, status: number, body: unknown): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

describe('the control client', () => {
  test('posts who asks for which name, with the token as bearer', async () => {
    let seen: unknown
    const control = await client(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const { method, url, headers } = request
      seen = [
        method,
        url,
        headers.authorization,
        headers['user-agent'],
        headers['content-type'],
        JSON.parse(Buffer.concat(chunks).toString()),
      ]
      json(response, 201, ticket)
    })
    const asked = { username: 'ann', subdomain: 'demo', observation: 'signed' }
    expect(await control.ticket(asked, signal)).toEqual(ticket)
    expect(seen).toEqual([
      'POST',
      '/v1/tickets',
      `Bearer ${token.reveal()}`,
      'tunnel-agent/9.9.9',
      'application/json',
      asked,
    ])
  })

  test('reads whose token it is', async () => {
    const account = { username: 'ann', scopes: ['tunnel'], subdomains: ['*'], expiresAt: '2026-01-01T00:00:00.000Z' }
    const control = await client((_, response) => json(response, 200, account))
    expect(await control.account(signal)).toEqual(account)
  })

  test('a problem document becomes the same fault at this end', async () => {
    const fault = new TunnelFault('server-busy', 'Too many.', { retryAfterMs: 1500 })
    const control = await client((_, response) => json(response, fault.status, problemOf(fault, 'r1')))
    await expect(control.account(signal)).rejects.toMatchObject({
      code: 'server-busy',
      detail: 'Too many.',
      retryAfterMs: 1500,
    })
  })

  test.each([
    ['an error page of somebody else', 500, '<html>'],
    ['a problem with a code of another world', 403, JSON.stringify({ type: 'x', title: 'x', status: 403, code: 'x' })],
    ['a success that is no answer of ours', 200, '{"hello": 1}'],
    ['a redirect', 302, ''],
    ['a flood', 200, 'x'.repeat(1_000_000)],
  ])('%s is "unreachable", which may be tried again', async (_, status, body) => {
    const control = await client((__, response) => response.writeHead(status, { location: '/elsewhere' }).end(body))
    const failure = await control.account(signal).catch((error) => error)
    expect(failure).toMatchObject({ code: 'server-unreachable', retryable: true, exit: 5 })
  })

  test('nobody there is "unreachable", with the address and the reason', async () => {
    const control = await client(() => undefined)
    server?.close()
    await once(server!, 'close')
    await expect(control.account(signal)).rejects.toThrow(/127\.0\.0\.1:\d+.*ECONNREFUSED/)
  })

  test('a call that is given up ends with the reason of whoever gave it up', async () => {
    const asked = new AbortController()
    const reason = new Error('changed my mind')
    const control = await client(() => asked.abort(reason))
    await expect(control.account(asked.signal)).rejects.toBe(reason)
  })

  test('no error shows the token', async () => {
    const control = await client((request) => request.socket.destroy())
    const failure = await control.account(signal).catch((error: unknown) => error)
    expect(inspect([failure, control], { depth: 10, showHidden: true })).not.toContain(token.reveal())
  })
})
