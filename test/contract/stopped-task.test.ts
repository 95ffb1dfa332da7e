import { createDynamoClient } from '@postern/protocol/store'
import { channelTicketSchema } from '@postern/protocol/ticket'
import { expect, test } from 'vitest'
import { tryOpening } from '../support/cut-short-agent.ts'
import { openAtRest, openBeyond } from '../support/resources/open-resources.ts'
import { callApp, deploy, grant } from './control-plane/deployment.ts'
import { startPlane } from './start-plane.ts'

test('tasks that have stopped, one while the other went on, have neither timers nor sockets any more', async () => {
  const base = await openAtRest()
  const deployment = await deploy()
  const client = createDynamoClient({ endpoint: deployment.endpoint })
  try {
    deployment.caller.ip = '127.0.0.1'
    const bearer = await grant(deployment.stores, 'ann')
    const [other, plane] = [await startPlane(deployment, client), await startPlane(deployment, client)]
    const body = { username: 'ann', subdomain: 'demo' }
    const { json } = await callApp(deployment.app, { method: 'POST', path: '/v1/tickets', bearer, body })
    const ticket = { ...channelTicketSchema.parse(json), host: '127.0.0.1', port: plane.ports.channel }
    expect(await tryOpening(ticket)).toBe('welcome')
    await plane.stop()
    await other.stop()
  } finally {
    client.destroy()
    await deployment.stop()
  }
  expect(await openBeyond(base)).toEqual([])
})
