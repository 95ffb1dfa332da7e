/** The policy of a node, as it is synthesised, tried on the requests that the stores really send. */
import { openStore, type Stores } from '@postern/protocol/store'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { allows, type Call, rightsByRole } from '../../cdk/lib/testing/rights.ts'
import { synthesised } from '../../cdk/lib/testing/synthesised.ts'
import { unhurriedClient } from '../support/unhurried-client.ts'
import { type Deployment, deploy, START } from './control-plane/deployment.ts'

const roles = rightsByRole(synthesised('a domain').template.data)
const policy = [...roles].find(([id]) => id.startsWith('TaskTaskRole'))![1]

let deployment: Deployment
let stores: Stores
let stop: () => void
let calls: Call[] = []
beforeAll(async () => {
  deployment = await deploy()
  const client = unhurriedClient(deployment.endpoint)
  for (const one of [client.patient, client.once]) {
    one.middlewareStack.add(
      (next, { commandName = '' }) =>
        (args) => {
          calls.push({
            action: `dynamodb:${commandName.replace(/Command$/, '')}`,
            leadingKeys: [partitionOf(args.input)],
          })
          return next(args)
        },
      { step: 'initialize' },
    )
  }
  stores = openStore({ tableName: deployment.tableName, client })
  stop = () => client.destroy()
})
afterAll(async () => {
  stop()
  await deployment.stop()
})

type Keyed = Record<string, Record<string, { S?: string }> | undefined>
function partitionOf(input: object): string {
  const { Key, Item, ExpressionAttributeValues } = input as Keyed
  return (Key ?? Item)?.pk?.S ?? ExpressionAttributeValues?.[':pk']?.S ?? ''
}

/** Requests of `run` that the policy denies, and how many there were. */
async function tried(run: () => Promise<unknown>): Promise<{ denied: Call[]; sent: number }> {
  calls = []
  // What the table answers has no say in whether a request is allowed.
  await run().catch(() => undefined)
  return { denied: calls.filter((call) => !allows(policy, call)), sent: calls.length }
}

const process = { taskId: 'task', bootId: 'boot' }
const slot = { name: 'demo', slot: 0, connId: 'c' }
const newId = () => 'id'
const claim = { reservationId: 'r', instanceId: 'i', pool: false, username: 'ann', tokenHash: 't', now: START }
const entry = { actor: 'ann', action: 'useTicket', target: 'demo', ip: '192.0.2.1', result: 'done', now: START, newId }
const eviction = { connId: 'c', byInstance: 'i', why: 'superseded' } as const
const row = { ...slot, ...process, username: 'ann', epoch: 1, claimedAt: START }
const facts = { addr: '10.0.0.1:7100', draining: false, tunnels: 0, version: '1' }

test.each<[string, (on: Stores) => Promise<unknown>]>([
  ['finds a ticket', (on) => on.tickets.find('ab')],
  ['spends a ticket', (on) => on.tickets.consume({ idHash: 'ab', addressKey: '*', now: START })],
  ['claims a slot', (on) => on.routes.claim({ ...slot, ...process, ...claim })],
  ['reads routes', (on) => on.routes.list('demo')],
  ['releases a slot', (on) => on.routes.release({ ...slot, epoch: 1, now: START })],
  ['reads the owner of a name', (on) => on.reservations.ownerOf('demo', START)],
  ['reads a token', (on) => on.tokens.find('t')],
  ['renews its lease', (on) => on.tasks.renew({ ...process, ...facts, now: START })],
  ['reads the nodes', (on) => on.tasks.list()],
  ['leaves an eviction', (on) => on.tasks.evict({ ...process, eviction })],
  ['takes evictions away', (on) => on.tasks.heeded({ ...process, evictions: new Set(['x']) })],
  ['ends its lease', (on) => on.tasks.end(process)],
  ['reads revocations', (on) => on.revocations.since('')],
  ['reads the keys of grants', (on) => on.grantKeys.read()],
  ['lists a tunnel', (on) => on.tunnels.put(row)],
  ['takes a tunnel from the list', (on) => on.tunnels.remove(slot)],
  ['writes its audit', (on) => on.nodeAudit.add(entry)],
])('a node %s: its policy allows the request', async (_, run) => {
  const { denied, sent } = await tried(() => run(stores))
  expect(denied).toEqual([])
  expect(sent).toBeGreaterThan(0)
})

test.each<[string, (on: Stores) => Promise<unknown>]>([
  ['an entry of another actor into the audit', (on) => on.audit.add({ ...entry, actor: 'root', action: 'deleteUser' })],
  ['a key by which grants are verified', (on) => on.grantKeys.publish({ keys: new Set(['x']), unprovenUntil: START })],
  ['a name', (on) => on.reservations.release({ name: 'demo', now: START })],
  ['a token', (on) => on.tokens.touch({ tokenHash: 't', day: '2027-01-15' })],
  ['an account', (on) => on.users.update('ann', { disabled: true })],
  ['a revocation', (on) => on.revocations.add({ what: 'token', key: 't', notBefore: START, now: START, newId })],
])('a node cannot write %s: its policy denies the request', async (_, run) => {
  const { denied, sent } = await tried(() => run(stores))
  expect(sent).toBeGreaterThan(0)
  expect(denied.length).toBeGreaterThan(0)
})
