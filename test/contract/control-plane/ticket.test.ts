import { randomBytes } from 'node:crypto'
import { ScanCommand } from '@aws-sdk/client-dynamodb'
import { addressKey } from '@postern/protocol/address'
import { problemSchema } from '@postern/protocol/api'
import { LEASE_MS, TICKET_LIFE_MS } from '@postern/protocol/limits'
import { createDynamoClient } from '@postern/protocol/store'
import {
  type ChannelTicket,
  channelTicketSchema,
  newDeploymentSecret,
  openSealedKey,
  parseDeploymentKeys,
  Secret,
  signObservation,
  tokenHash,
  workerIdHash,
} from '@postern/protocol/ticket'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Deployment, deploy, grant, START } from './deployment.ts'

let deployment: Deployment
let token: string
beforeEach(async () => {
  deployment = await deploy()
  token = await grant(deployment.stores, 'ann')
})
afterEach(() => deployment.stop())

const ask = (body: object, path = '/', bearer = token) =>
  deployment.app.request(path, {
    method: 'POST',
    headers: { host: 'example.com', 'content-type': 'application/json', authorization: `Bearer ${bearer}` },
    body: JSON.stringify(body),
  })
const ticketOf = async (body: object): Promise<ChannelTicket> => {
  const response = await ask(body)
  expect(response.status).toBe(200)
  return channelTicketSchema.parse(await response.json())
}
const demo = { username: 'ann', subdomain: 'demo' }
const codeOf = async (response: Response) => problemSchema.parse(await response.json()).code

describe('the steps of the founding document, as far as the control plane takes them', () => {
  test('step 1: POST to the base domain with {username, subdomain}, and the same under /v1/tickets', async () => {
    expect((await ask(demo)).status).toBe(200)
    expect((await ask(demo, '/v1/tickets')).status).toBe(200)
  })

  test('step 2: the answer is a ticket {port, workerId, encryptionKeyText} and what the deployed shape adds', async () => {
    expect(await ticketOf(demo)).toEqual({
      port: 7000,
      workerId: expect.stringMatching(/^[0-9a-f]{8}\.[\w-]{48}$/),
      encryptionKeyText: expect.stringMatching(/^[0-9a-f]{64}$/),
      host: 'channel.example.com',
      url: 'https://demo.example.com',
      expiresAt: new Date(START + TICKET_LIFE_MS).toISOString(),
      seenIp: '192.0.2.1',
      protocol: 1,
    })
  })

  test('step 2: a wrong token gets nothing, and leaves nothing in the table', async () => {
    const wrong = await grant((await deployAside()).stores, 'ann')
    const response = await ask(demo, '/', wrong)
    expect(response.status).toBe(401)
    expect(await codeOf(response)).toBe('token-unknown')
    expect(await deployment.stores.reservations.find('demo')).toBeUndefined()
  })

  test('step 2: ChannelInfo {username, subdomain, encryptionKey} is found under the worker id', async () => {
    const { workerId, encryptionKeyText } = await ticketOf(demo)
    const idHash = workerIdHash(workerId)
    const stored = await deployment.stores.tickets.find(idHash)
    expect(stored).toMatchObject({
      ...{ username: 'ann', subdomain: 'demo', tokenHash: tokenHash(new Secret(token)) },
      // What the channel server judges revocations and the token's end by.
      ...{ issuedAt: START, tokenExpiresAt: START + 90 * 86_400_000 },
    })
    const key = openSealedKey(stored?.sealedKey ?? '', { idHash, ...demo }, deployment.keys)
    expect(Buffer.from(key).toString('hex')).toBe(encryptionKeyText)
  })

  test('step 2 and 4: the caller is on the white list, and being accepted takes it off', async () => {
    const { workerId } = await ticketOf(demo)
    const { tickets } = deployment.stores
    const idHash = workerIdHash(workerId)
    expect((await tickets.find(idHash))?.allowedIps).toEqual(new Set(['192.0.2.1']))
    expect(await tickets.consume({ idHash, addressKey: '192.0.2.2', now: START })).toEqual({ kind: 'lost' })
    expect(await tickets.consume({ idHash, addressKey: '192.0.2.1', now: START })).toMatchObject({ kind: 'won' })
    expect(await tickets.consume({ idHash, addressKey: '192.0.2.1', now: START })).toEqual({ kind: 'lost' })
  })

  const aside: Deployment[] = []
  afterEach(async () => {
    for (const other of aside.splice(0)) await other.stop()
  })
  async function deployAside(): Promise<Deployment> {
    const other = await deploy()
    aside.push(other)
    return other
  }
})

test('no two tickets share an id or a key', async () => {
  const tickets = [await ticketOf(demo), await ticketOf(demo), await ticketOf(demo)]
  expect(new Set(tickets.map(({ workerId }) => workerId)).size).toBe(3)
  expect(new Set(tickets.map(({ encryptionKeyText }) => encryptionKeyText)).size).toBe(3)
})

test('the name belongs to whoever asked first, and counts against their quota', async () => {
  await ticketOf(demo)
  const bob = await grant(deployment.stores, 'bob')
  const response = await ask({ username: 'bob', subdomain: 'demo' }, '/', bob)
  expect([response.status, await codeOf(response)]).toEqual([409, 'subdomain-taken'])
  await ticketOf({ ...demo, subdomain: 'second' })
  await ticketOf({ ...demo, subdomain: 'third' })
  const fourth = await ask({ ...demo, subdomain: 'fourth' })
  expect([fourth.status, await codeOf(fourth)]).toEqual([403, 'subdomain-quota'])
  await ticketOf(demo)
})

test('a random name is asked for as ephemeral, and held as such', async () => {
  await ticketOf({ ...demo, subdomain: 'quiet-lake', ephemeral: true })
  expect(await deployment.stores.reservations.find('quiet-lake')).toMatchObject({ ephemeral: true })
})

test('a token asks only for names that fit its patterns', async () => {
  const bearer = await grant(deployment.stores, 'ann', { subdomains: new Set(['ann-*']) })
  expect((await ask({ ...demo, subdomain: 'ann-1' }, '/', bearer)).status).toBe(200)
  expect(await codeOf(await ask(demo, '/', bearer))).toBe('subdomain-not-allowed')
})

test('an account asks only for names that fit its patterns too', async () => {
  const { users } = deployment.stores
  await users.update('ann', { patterns: new Set(['ann-*']) })
  expect((await ask({ ...demo, subdomain: 'ann-1' })).status).toBe(200)
  expect(await codeOf(await ask(demo))).toBe('subdomain-not-allowed')
  await users.update('ann', { patterns: new Set() })
  expect(await codeOf(await ask({ ...demo, subdomain: 'ann-1' }))).toBe('subdomain-not-allowed')
})

describe('an account has as many tunnels open as it may', () => {
  const task = { taskId: 'task-1', bootId: 'boot-1' }
  const holds = { connId: 'conn', instanceId: 'agent', pool: false, username: 'ann', tokenHash: 'hash' }
  const renew = (now: number, bootId = task.bootId) =>
    deployment.stores.tasks.renew({
      ...{ ...task, bootId, now, addr: '127.0.0.1:1' },
      ...{ draining: false, tunnels: 0, version: 'test' },
    })
  const open = async (name: string) => {
    await ticketOf({ ...demo, subdomain: name })
    const { reservationId = '' } = (await deployment.stores.reservations.find(name)) ?? {}
    const claim = { ...holds, ...task, name, slot: 0, reservationId, now: START }
    return { ...claim, ...(await deployment.stores.routes.claim(claim)) }
  }
  beforeEach(async () => {
    await deployment.stores.users.update('ann', { maxTunnels: 2, maxSubdomains: 10 })
    await renew(START)
  })

  test('a further name is refused, one that is open is not, and nothing is reserved', async () => {
    await open('one')
    await open('two')
    const refused = await ask({ ...demo, subdomain: 'third' })
    expect([refused.status, await codeOf(refused)]).toEqual([403, 'tunnel-quota'])
    expect(await deployment.stores.reservations.find('third')).toBeUndefined()
    await ticketOf({ ...demo, subdomain: 'one' })
  })

  test('one that is closed makes room', async () => {
    await open('one')
    const { name, slot, connId, epoch } = await open('two')
    await deployment.stores.routes.release({ name, slot, connId, epoch, now: START })
    await ticketOf({ ...demo, subdomain: 'third' })
  })

  test('names without a tunnel do not count', async () => {
    for (const name of ['one', 'two', 'third', 'fourth']) await ticketOf({ ...demo, subdomain: name })
  })

  test('tunnels of a task that is gone do not count', async () => {
    await open('one')
    await open('two')
    deployment.at.now = START + LEASE_MS
    await ticketOf({ ...demo, subdomain: 'third' })
  })

  test('tunnels of the former process of a task do not count', async () => {
    await open('one')
    await open('two')
    await deployment.stores.tasks.end(task)
    await renew(START, 'boot-2')
    await ticketOf({ ...demo, subdomain: 'third' })
  })

  test('an account that may have none has none', async () => {
    await deployment.stores.users.update('ann', { maxTunnels: 0 })
    expect(await codeOf(await ask(demo))).toBe('tunnel-quota')
  })

  test('neither routes nor tasks are read where all the names together are too few', async () => {
    const { stores } = deployment
    const { tasks, routes } = stores
    const reads: string[] = []
    const [listTasks, listRoutes] = [tasks.list, routes.list]
    tasks.list = () => {
      reads.push('tasks')
      return listTasks()
    }
    routes.list = (name, options) => {
      reads.push(name)
      return listRoutes(name, options)
    }
    await ticketOf({ ...demo, subdomain: 'one' })
    await ticketOf({ ...demo, subdomain: 'two' })
    expect(reads).toEqual([])
    await ticketOf({ ...demo, subdomain: 'third' })
    expect(reads.sort()).toEqual(['one', 'tasks', 'two'])
  })
})

describe('when the channel server sees another address', () => {
  /** What the channel server would say of `ticket` after a connection from `seenIp`. */
  const observe = (ticket: ChannelTicket, seenIp: string, time = deployment.at.now) =>
    signObservation({ seenIp, idHash: workerIdHash(ticket.workerId), time }, deployment.keys)
  const allowed = async ({ workerId }: ChannelTicket) =>
    (await deployment.stores.tickets.find(workerIdHash(workerId)))?.allowedIps

  test('a second ticket is good from both', async () => {
    const observation = observe(await ticketOf(demo), '2001:db8::7')
    const second = await ticketOf({ ...demo, observation })
    expect(await allowed(second)).toEqual(new Set(['192.0.2.1', '2001:db8::/64']))
    expect(second.seenIp).toBe('192.0.2.1')
  })

  test('a third one remembers the former exits, four addresses at most, the newest first', async () => {
    let ticket = await ticketOf(demo)
    for (const exit of [2, 3, 4, 5]) {
      const observation = observe(ticket, `198.51.100.${exit}`)
      ticket = await ticketOf({ ...demo, observation })
    }
    expect([...((await allowed(ticket)) ?? [])].sort()).toEqual(
      ['192.0.2.1', '198.51.100.5', '198.51.100.4', '198.51.100.3'].sort(),
    )
  })

  test.each([
    [
      'of another token',
      async () => {
        const bearer = await grant(deployment.stores, 'ann')
        return { observation: observe(await ticketOf(demo), '198.51.100.9'), bearer }
      },
    ],
    [
      'of a ticket that never was',
      async () => ({
        observation: observe({ ...(await ticketOf(demo)), workerId: 'x'.repeat(24) }, '198.51.100.9'),
      }),
    ],
    [
      'that is 60 s and a millisecond old',
      async () => ({
        observation: observe(await ticketOf(demo), '198.51.100.9', START - 60_001),
      }),
    ],
    [
      'of another deployment',
      async () => {
        const keys = parseDeploymentKeys(newDeploymentSecret(randomBytes))
        const { workerId } = await ticketOf(demo)
        return {
          observation: signObservation({ seenIp: '198.51.100.9', idHash: workerIdHash(workerId), time: START }, keys),
        }
      },
    ],
    ['that is not one', async () => ({ observation: 'x.y.z' })],
  ])('an observation %s is refused', async (_, make) => {
    const { observation, bearer } = { bearer: token, ...(await make()) }
    const response = await ask({ ...demo, observation }, '/', bearer)
    expect([response.status, await codeOf(response)]).toEqual([403, 'observation-refused'])
  })
})

test('under strict no observation is taken, and an IPv6 caller is white-listed alone', async () => {
  await deployment.stop()
  deployment = await deploy({ ipPolicy: 'strict' })
  token = await grant(deployment.stores, 'ann')
  deployment.caller.ip = '2001:db8::5'
  const ticket = await ticketOf(demo)
  const idHash = workerIdHash(ticket.workerId)
  expect((await deployment.stores.tickets.find(idHash))?.allowedIps).toEqual(
    new Set([addressKey('2001:db8::5', 'strict')]),
  )
  const observation = signObservation({ seenIp: '192.0.2.9', idHash, time: START }, deployment.keys)
  expect(await codeOf(await ask({ ...demo, observation }))).toBe('observation-refused')
})

test('under off a ticket is good from anywhere', async () => {
  await deployment.stop()
  deployment = await deploy({ ipPolicy: 'off' })
  token = await grant(deployment.stores, 'ann')
  const { workerId } = await ticketOf(demo)
  expect((await deployment.stores.tickets.find(workerIdHash(workerId)))?.allowedIps).toEqual(new Set(['*']))
})

test('reading the whole table shows no token, no id and no key', async () => {
  const ticket = await ticketOf(demo)
  await ticketOf({ ...demo, subdomain: 'second' })
  const client = createDynamoClient({ endpoint: deployment.endpoint })
  const { Items = [] } = await client.patient.send(new ScanCommand({ TableName: deployment.tableName }))
  client.destroy()
  const dump = JSON.stringify(Items)
  expect(dump).toContain(workerIdHash(ticket.workerId))
  const key = Buffer.from(ticket.encryptionKeyText, 'hex')
  const secrets = [
    token,
    token.slice(5),
    ticket.workerId,
    ticket.encryptionKeyText,
    key.toString('base64'),
    key.toString('base64url'),
  ]
  // Nor anything else that was drawn, except the nonces, which are no secret and 24 bytes long.
  for (const chance of deployment.drawn.filter(({ length }) => length !== 24)) {
    secrets.push(chance.toString('hex'), chance.toString('base64'), chance.toString('base64url'))
  }
  for (const secret of secrets) expect(dump).not.toContain(secret)
})
