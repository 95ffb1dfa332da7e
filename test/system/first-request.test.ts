import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type System, startSystem } from '../support/start-system.ts'

let system: System
let origin: http.Server
let originPort: number

beforeAll(async () => {
  system = await startSystem()
  origin = http.createServer((request, response) => response.end(`${request.method} ${request.url} came through`))
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  originPort = (origin.address() as AddressInfo).port
})

afterAll(async () => {
  await system?.stop()
  origin?.closeAllConnections()
  origin?.close()
})

async function get(host: string, path: string, headers: http.OutgoingHttpHeaders = {}) {
  const request = http.get({
    host: '127.0.0.1',
    port: system.publicPort,
    path,
    headers: { host, ...headers },
    agent: false,
  })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

describe('three real processes', () => {
  test('carry a request from a visitor to the local server and its answer back', async () => {
    const agent = await system.startAgent({ target: originPort, subdomain: 'first' })
    expect(await get(agent.host, '/hello?x=1')).toMatchObject({ status: 200, body: 'GET /hello?x=1 came through' })
    await agent.process.stop()
  })

  test('the URL stands alone on standard output, all else on standard error', async () => {
    const agent = await system.startAgent({ target: originPort, subdomain: 'alone' })
    await agent.process.complains(/ready/)
    expect(agent.process.stdout).toBe('http://alone.localhost\n')
    await agent.process.stop()
  })

  test('an agent without --subdomain draws a name of two words', async () => {
    const agent = await system.startAgent({ target: originPort })
    expect(agent.url).toMatch(/^http:\/\/[a-z]+-[a-z]+\.localhost$/)
    expect(await get(agent.host, '/')).toMatchObject({ status: 200 })
    const name = agent.host.split('.')[0]!
    expect(await system.stores.reservations.find(name)).toMatchObject({ ephemeral: true, username: 'tester' })
    await agent.process.stop()
  })

  test('a local server that is not there is a 502 that says so, and the agent stays', async () => {
    const agent = await system.startAgent({ target: '127.0.0.1:1', subdomain: 'nobody-home' })
    const answer = await get(agent.host, '/')
    expect([answer.status, answer.headers['tunnel-error']]).toEqual([502, 'origin-refused'])
    await agent.process.complains(/local server.*refused/)
    expect(await get(agent.host, '/')).toMatchObject({ status: 502 })
    await agent.process.stop()
  })
})

describe('the end of an agent', () => {
  test('SIGTERM lets what is in flight finish, then it exits with 0', async () => {
    const slow = http.createServer((_, response) => {
      response.write('half ')
      arrived()
      release.then(() => response.end('and whole'))
    })
    let arrived: () => void = () => undefined
    const inFlight = new Promise<void>((resolve) => {
      arrived = resolve
    })
    let finish: () => void = () => undefined
    const release = new Promise<void>((resolve) => {
      finish = resolve
    })
    slow.listen(0, '127.0.0.1')
    await once(slow, 'listening')
    const agent = await system.startAgent({ target: (slow.address() as AddressInfo).port, subdomain: 'slow' })
    const answer = get(agent.host, '/')
    await inFlight
    agent.process.kill('SIGTERM')
    await agent.process.complains(/closing/)
    finish()
    expect((await answer).body).toBe('half and whole')
    expect(await agent.process.exited).toEqual({ code: 0, signal: null })
    slow.close()
  })

  test('a second Ctrl+C does not wait: exit code 130', async () => {
    const stuck = http.createServer((_, response) => response.write('for ever'))
    stuck.listen(0, '127.0.0.1')
    await once(stuck, 'listening')
    const agent = await system.startAgent({ target: (stuck.address() as AddressInfo).port, subdomain: 'stuck' })
    const request = http.get({
      host: '127.0.0.1',
      port: system.publicPort,
      headers: { host: agent.host },
      agent: false,
    })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    const cut = Promise.all([once(response, 'error'), once(request, 'error')])
    agent.process.kill('SIGINT')
    await agent.process.complains(/closing/)
    agent.process.kill('SIGINT')
    expect(await agent.process.exited).toEqual({ code: 130, signal: null })
    await cut
    stuck.close()
  })
})

describe('what the server says at first ends the agent with the exit code of its kind', () => {
  test.each([
    ['a subdomain of somebody else', 4, 'subdomain-taken', { subdomain: 'taken' }],
    ['a subdomain that is reserved', 4, 'subdomain-reserved', { subdomain: 'www' }],
    ['a mistyped token', 3, 'token-malformed', { token: 'pst_uabc' }],
    ['a server that is not there', 5, 'server-unreachable', { server: 'http://127.0.0.1:1' }],
    ['an unknown option', 2, 'usage-invalid', { args: ['--nonsense'] }],
    ['a token on the command line', 2, 'usage-invalid', { args: ['--token', 'pst_uabc'] }],
  ])('%s: %i', async (_, code, fault, start) => {
    if (fault === 'subdomain-taken') {
      const owner = await system.startAgent({ target: originPort, subdomain: 'taken', username: 'owner' })
      await owner.process.stop()
    }
    const agent = await system.launchAgent({ target: originPort, ...start })
    expect(await agent.exited).toEqual({ code, signal: null })
    expect(agent.stdout).toBe('')
    expect(agent.stderr).toContain(`(${fault})`)
    expect(agent.stderr).not.toContain('pst_uabc')
  })

  test('another agent that takes the name: the former one ends with 4, and the new one serves', async () => {
    const former = await system.startAgent({ target: originPort, subdomain: 'shared' })
    const newer = await system.startAgent({ target: originPort, subdomain: 'shared' })
    expect(await former.process.exited).toEqual({ code: 4, signal: null })
    expect(former.process.stderr).toContain('(superseded)')
    expect(await get(newer.host, '/')).toMatchObject({ status: 200 })
    await newer.process.stop()
  })
})

test('at the first connect, too, an answer of a front before the server is tried again', async () => {
  const statuses = [429, 502, 503, 504]
  const proxy = http.createServer((request, response) => {
    const status = statuses.shift()
    if (status !== undefined) return response.writeHead(status).end('{"message":"Too Many Requests"}')
    const { method, url, headers } = request
    const to = new URL(url!, system.server)
    const passed = http.request(to, { method, headers: { ...headers, host: to.host } }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    request.pipe(passed)
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const server = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const agent = await system.startAgent({ target: originPort, subdomain: 'throttled', server })
  expect([statuses, (await get(agent.host, '/')).status]).toEqual([[], 200])
  expect(agent.process.stderr).not.toContain('is this the tunnel service')
  await agent.process.stop()
})

test('the agent comes back by itself, with the same URL, after the data plane was killed and started again', async () => {
  const agent = await system.startAgent({ target: originPort, subdomain: 'again' })
  expect(await get(agent.host, '/')).toMatchObject({ status: 200 })
  system.dataPlane.kill('SIGKILL')
  await system.dataPlane.exited
  await agent.process.complains(/reconnecting/)
  await system.startDataPlane(system.ports)
  expect(await agent.process.complains(/back: (\S+)/)).toBe(agent.url)
  expect(await get(agent.host, '/')).toMatchObject({ status: 200 })
  expect(agent.process.stdout).toBe(`${agent.url}\n`)
  await agent.process.stop()
})
