import { once } from 'node:events'
import http from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type DemoServer, startDemoServer } from './demo-server.ts'

let demo: DemoServer
beforeEach(async () => {
  demo = await startDemoServer()
})
afterEach(() => demo.stop())

async function ask(path: string, options: http.RequestOptions = {}, body = ''): Promise<http.IncomingMessage> {
  const request = http.request({ host: '127.0.0.1', port: demo.port, path, agent: false, ...options }).end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return response
}

test('shows a request as it arrived, fields in their order and case', async () => {
  const headers = ['X-Second', 'b', 'x-FIRST', 'a', 'Host', 'demo.localhost', 'Content-Length', '5']
  const shown = await text(await ask('/path?q=1', { method: 'PUT', headers }, 'hello'))
  expect(shown).toContain('PUT /path?q=1 HTTP/1.1\nX-Second: b\nx-FIRST: a\nHost: demo.localhost\n')
  expect(shown).toContain('5 bytes of body')
})

test('a page for a browser, in which nothing of the request is taken for markup', async () => {
  const response = await ask('/?<script>alert(1)</script>', {
    headers: { accept: 'text/html', 'x-evil': '<img src=x>"\'&' },
  })
  const page = await text(response)
  expect(response.headers['content-type']).toBe('text/html; charset=utf-8')
  expect(page).not.toContain('<img src=x>')
  expect(page).not.toContain('<script>alert')
  expect(page).toContain('&lt;img src=x&gt;&quot;&#39;&amp;')
})

test('counts by server-sent events, and stopping ends the stream in good order', async () => {
  const events = await ask('/events')
  expect(events.headers['content-type']).toBe('text/event-stream')
  await once(events, 'data')
  const [stopped, rest] = await Promise.all([demo.stop(), text(events)])
  expect([stopped, rest]).toEqual([undefined, expect.any(String)])
})
