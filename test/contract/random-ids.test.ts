/** Anybody can connect to the channel port and send an id. Only ids that the control plane made may cost a read of the table. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { DataPlane } from '@postern/data-plane'
import { createDynamoClient, type DynamoClient } from '@postern/protocol/store'
import { channelTicketSchema, newWorkerId } from '@postern/protocol/ticket'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tryOpening } from '../support/cut-short-agent.ts'
import { callApp, type Deployment, deploy, grant, START } from './control-plane/deployment.ts'
import { startPlane } from './start-plane.ts'

const IDS = 10_000
/** Handshakes under way at once; the ceiling is 200 from one address. */
const AT_ONCE = 100
const REFUSED = '{"ok":false,"fault":"ticket-refused"}\n'

let deployment: Deployment
let client: DynamoClient
let plane: DataPlane
let bearer: string
let ticketReads = 0

/** Counts the reads of tickets that reach the table. */
function counted(client: DynamoClient): DynamoClient {
  for (const one of [client.patient, client.once]) {
    one.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          const { Key } = args.input as { Key?: { pk?: { S?: string } } }
          if (commandName === 'GetItemCommand' && Key?.pk?.S?.startsWith('TICKET#')) ticketReads += 1
          return next(args)
        },
      { step: 'initialize' },
    )
  }
  return client
}

beforeAll(async () => {
  deployment = await deploy()
  deployment.caller.ip = '127.0.0.1'
  bearer = await grant(deployment.stores, 'ann')
  client = counted(createDynamoClient({ endpoint: deployment.endpoint }))
  plane = await startPlane(deployment, client)
})
afterAll(async () => {
  await plane?.stop()
  client?.destroy()
  await deployment?.stop()
})

/** The whole answer to an id, on a connection of its own. */
async function present(id: string): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: plane.ports.channel })
  const closed = once(socket, 'close')
  socket.write(`${id}\n`)
  const answer = await text(socket)
  await closed
  return answer
}

async function newTicket() {
  const body = { username: 'ann', subdomain: 'demo' }
  const { json } = await callApp(deployment.app, { method: 'POST', path: '/v1/tickets', bearer, body })
  return { ...channelTicketSchema.parse(json), host: '127.0.0.1', port: plane.ports.channel }
}

test('ten thousand random ids are refused without one read of the table, and a good ticket opens after them', async () => {
  const { workerId } = await newTicket()
  const shapes = [
    // As ids were before they had a MAC, and as they are.
    () => randomBytes(18).toString('base64url'),
    () => `${deployment.keys.current.id}.${randomBytes(36).toString('base64url')}`,
    () => `${randomBytes(4).toString('hex')}.${randomBytes(36).toString('base64url')}`,
    () => randomBytes(1 + Math.floor(Math.random() * 32)).toString('hex'),
    // The good id with another MAC.
    () => workerId.slice(0, -22) + randomBytes(16).toString('base64url'),
  ]
  const answers = new Map<string, number>()
  let sent = 0
  const client = async (): Promise<void> => {
    while (sent < IDS) {
      const answer = await present(shapes[sent++ % shapes.length]!())
      answers.set(answer, (answers.get(answer) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, client))
  expect(Object.fromEntries(answers)).toEqual({ [REFUSED]: IDS })
  expect(ticketReads).toBe(0)
  expect(await tryOpening(await newTicket())).toBe('welcome')
  expect(ticketReads).toBe(1)
})

test('an id that the control plane made costs one read each time, until it expires; the answer is the same', async () => {
  const { now } = deployment.at
  const unknown = newWorkerId(START + 60_000, deployment.keys, randomBytes)
  ticketReads = 0
  expect([await present(unknown), await present(unknown)]).toEqual([REFUSED, REFUSED])
  expect(ticketReads).toBe(2)
  deployment.at.now = START + 60_000
  expect(await present(unknown)).toBe(REFUSED)
  expect(ticketReads).toBe(2)
  deployment.at.now = now
})
