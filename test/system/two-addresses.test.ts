import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type System, startSystem } from '../support/start-system.ts'

const ELSEWHERE = '192.0.2.9'

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Another way to the control plane. @param fields added to each call */
async function wayTo(system: System, port: number, fields: http.OutgoingHttpHeaders = {}) {
  const calls: string[] = []
  const relay = http.createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request
    calls.push(method)
    const target = new URL(url, system.controlUrl)
    const onward = http.request(target, { method, headers: { ...headers, ...fields } }, (answer) => {
      response.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(response)
    })
    request.pipe(onward)
  })
  relay.listen(port, '127.0.0.1')
  await once(relay, 'listening')
  cleanUps.push(() => {
    relay.closeAllConnections()
    relay.close()
  })
  return { url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`, calls }
}

/** The calls seem to leave by another exit than the channel: the control server believes the proxy before it. */
const byAnotherExit = (system: System) => wayTo(system, 0, { 'x-forwarded-for': ELSEWHERE })

async function systemWith(ipPolicy: 'strict' | 'observed'): Promise<System> {
  const system = await startSystem({ ipPolicy })
  cleanUps.push(() => system.stop())
  return system
}

test('observed: the second ticket is for the address that the channel server saw, and opens the tunnel', async () => {
  const system = await systemWith('observed')
  const control = await byAnotherExit(system)
  const agent = await system.startAgent({ target: 1, subdomain: 'roaming', server: control.url })
  expect(agent.url).toBe('http://roaming.localhost')
  expect(control.calls).toEqual(['GET', 'POST', 'POST'])
})

test('strict: the agent ends with 5 and names both addresses', async () => {
  const system = await systemWith('strict')
  const control = await byAnotherExit(system)
  const agent = await system.launchAgent({ target: 1, subdomain: 'roaming', server: control.url })
  expect(await agent.exited).toEqual({ code: 5, signal: null })
  expect(agent.stderr).toMatch(/192\.0\.2\.9.*127\.0\.0\.1/)
  expect(agent.stderr).toContain('(ip-not-allowed)')
})

test('--retry outlives a server that is not there yet', async () => {
  const system = await systemWith('strict')
  const probe = net.createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')

  const agent = await system.launchAgent({
    target: 1,
    subdomain: 'early-bird',
    server: `http://127.0.0.1:${port}`,
    args: ['--retry'],
  })
  await agent.complains(/reconnecting.*ECONNREFUSED/)
  await wayTo(system, port)
  expect(await agent.firstLine()).toBe('http://early-bird.localhost')
})
