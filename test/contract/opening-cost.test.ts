/** What one opening takes from the table, as the table itself accounts for it: the numbers that docs/cost.md counts with. */
import { createDynamoClient, type DynamoClient } from '@postern/protocol/store'
import { channelTicketSchema } from '@postern/protocol/ticket'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { OPENING, readsPerTaskPoll } from '../../admin/src/cost/usage.ts'
import { tryOpening } from '../support/cut-short-agent.ts'
import { callApp, type Deployment, deploy, grant, START } from './control-plane/deployment.ts'
import { startPlane } from './start-plane.ts'

const DAY_MS = 86_400_000
interface Used {
  /** `write TICKET`, `read TOKEN`: what was done, and the kind of the partition. */
  readonly what: string
  readonly units: number
}

let deployment: Deployment
let app: Deployment['app']
let bearer: string
let used: Used[] = []

/** Has the table tell, with every answer, what it takes for it. */
function metered(client: DynamoClient): DynamoClient {
  for (const one of [client.patient, client.once]) {
    one.middlewareStack.add(
      (next, { commandName = '' }) =>
        async (args) => {
          Object.assign(args.input, { ReturnConsumedCapacity: 'TOTAL' })
          const result = await next(args)
          const { ConsumedCapacity } = result.output as { ConsumedCapacity?: { CapacityUnits: number } }
          const { Key, Item, ExpressionAttributeValues } = args.input as Record<string, Record<string, { S?: string }>>
          const partition = (Key ?? Item)?.pk?.S ?? ExpressionAttributeValues?.[':pk']?.S ?? '?'
          const kind = /^(Get|Query)/.test(commandName) ? 'read' : 'write'
          used.push({ what: `${kind} ${partition.replace(/#.*/s, '')}`, units: ConsumedCapacity!.CapacityUnits })
          return result
        },
      { step: 'initialize' },
    )
  }
  return client
}

/** Ticket, channel, welcome and the end of it, on a task of its own. */
async function openOnce(subdomain: string, ephemeral: boolean): Promise<Map<string, number>> {
  used = []
  const client = metered(createDynamoClient({ endpoint: deployment.endpoint }))
  const plane = await startPlane(deployment, client)
  const body = { username: 'ann', subdomain, ephemeral }
  const { json } = await callApp(app, { method: 'POST', path: '/v1/tickets', bearer, body })
  const ticket = { ...channelTicketSchema.parse(json), host: '127.0.0.1', port: plane.ports.channel }
  expect(await tryOpening(ticket)).toBe('welcome')
  // Its end waits for everything that is still being written.
  await plane.stop()
  client.destroy()
  const sums = new Map<string, number>()
  for (const { what, units } of used) sums.set(what, (sums.get(what) ?? 0) + units)
  // The task's own, whether anybody opens or not.
  for (const own of ['write TASKS', 'read TASKS', 'read REVOKE']) sums.delete(own)
  return sums
}

beforeAll(async () => {
  deployment = await deploy()
  deployment.caller.ip = '127.0.0.1'
  app = deployment.appOn(metered)
  bearer = await grant(deployment.stores, 'ann')
})
afterAll(() => deployment?.stop())

const sum = (sums: Map<string, number>, kind: string, ...partitions: string[]): number =>
  partitions.reduce((total, partition) => total + (sums.get(`${kind} ${partition}`) ?? 0), 0)

test('a random name that comes again the next day: the dearest opening there is of a name that is known', async () => {
  await openOnce('random-name', true)
  deployment.at.now = START + DAY_MS
  const sums = await openOnce('random-name', true)
  expect(sum(sums, 'read', 'TOKEN', 'USER', 'SUB', 'TICKET')).toBe(OPENING.ticketReads)
  expect(sum(sums, 'write', 'TICKET', 'TOKEN')).toBe(OPENING.ticketWrites)
  expect(sum(sums, 'write', 'SUB', 'SUBS')).toBe(OPENING.nameWrites)
  expect(sum(sums, 'write', 'ROUTE', 'TUNNELS')).toBe(OPENING.routeWrites)
  expect(sum(sums, 'read', 'ROUTE')).toBe(OPENING.routeReads)
  expect(sum(sums, 'write', 'NODE-AUDIT')).toBe(OPENING.auditWrites)
  const counted = Object.values(OPENING).reduce((total, units) => total + units, 0)
  expect([...sums.values()].reduce((total, units) => total + units, 0)).toBe(counted)
})

test('a renewal of the lease is one write, and a look at the list of tasks half a read', async () => {
  await openOnce('leased', false)
  const looks = used.filter(({ what }) => what === 'read TASKS')
  expect(new Set(looks.map(({ units }) => units))).toEqual(new Set([readsPerTaskPoll(1)]))
  const renewals = used.filter(({ what }) => what === 'write TASKS')
  expect(new Set(renewals.map(({ units }) => units))).toEqual(new Set([1]))
})

test('a lasting name on the same day: no more than tickets, routes and the audit', async () => {
  await openOnce('lasting-name', false)
  const sums = await openOnce('lasting-name', false)
  expect(sum(sums, 'write', 'SUB', 'SUBS', 'USER', 'TOKEN')).toBe(0)
  expect(sum(sums, 'write', 'TICKET')).toBe(OPENING.ticketWrites - 1)
  expect(sum(sums, 'write', 'ROUTE', 'TUNNELS')).toBe(OPENING.routeWrites)
})
