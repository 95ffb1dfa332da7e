import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import net from 'node:net'
import { acceptOpening, OpeningCeilings } from '@postern/protocol/channel'
import { TICKET_LIFE_MS } from '@postern/protocol/limits'
import type { Ticket, TicketStore } from '@postern/protocol/store'
import {
  type DeploymentKeys,
  newDeploymentSecret,
  newWorkerId,
  parseDeploymentKeys,
  sealKey,
  workerIdHash,
} from '@postern/protocol/ticket'
import { afterEach, expect, test } from 'vitest'
import { ticketHost } from './ticket-host.ts'

const NOW = 1_800_000_000_000
const EXPIRES_AT = NOW + TICKET_LIFE_MS
const hexKey = () => randomBytes(32).toString('hex')
const keysOf = (current: string, ...accepted: string[]) => parseDeploymentKeys(JSON.stringify({ current, accepted }))

/** A host over a store that counts its reads. */
function begin(keys: DeploymentKeys = parseDeploymentKeys(newDeploymentSecret(randomBytes))) {
  const rows = new Map<string, Ticket>()
  let reads = 0
  const tickets: TicketStore = {
    issue: async (ticket) => void rows.set(ticket.idHash, ticket),
    find: async (idHash) => {
      reads += 1
      return rows.get(idHash)
    },
    consume: () => Promise.reject(new Error('nothing is consumed here')),
  }
  const host = ticketHost({
    ...{ taskId: 'task-1', tickets, keys, ipPolicy: 'strict', loopback: 'distinct' },
    refusal: () => undefined,
    clock: () => NOW,
  })
  /** A ticket as the control plane issues it, by the keys that it has. */
  const issue = async (issuer = keys, expiresAt = EXPIRES_AT): Promise<string> => {
    const workerId = newWorkerId(expiresAt, issuer, randomBytes)
    const bound = { idHash: workerIdHash(workerId), username: 'ann', subdomain: 'demo' }
    await tickets.issue({
      ...{ ...bound, reservationId: 'r', tokenHash: '0'.repeat(64), tokenExpiresAt: EXPIRES_AT, issuedAt: NOW },
      ...{ allowedIps: new Set(['192.0.2.1']), sealedKey: sealKey(randomBytes(32), bound, issuer, randomBytes) },
      expiresAt,
    })
    return workerId
  }
  return { host, keys, issue, reads: () => reads }
}

test('a ticket is found by the id that the control plane made, with one read', async () => {
  const { host, issue, reads } = begin()
  expect(await host.find(await issue())).toMatchObject({ username: 'ann', subdomain: 'demo' })
  expect(reads()).toBe(1)
})

test('an id without a valid MAC is unknown without a read, also where a ticket lies under its hash', async () => {
  const { host, keys, issue, reads } = begin()
  const forged = await issue(parseDeploymentKeys(newDeploymentSecret(randomBytes)))
  const expired = await issue(keys, NOW)
  const made = [randomBytes(18).toString('base64url'), `${keys.current.id}.${randomBytes(36).toString('base64url')}`]
  for (const workerId of [forged, expired, ...made]) expect(await host.find(workerId)).toBeUndefined()
  expect(reads()).toBe(0)
})

test('while keys are rotated, the ids of both are looked up', async () => {
  const [old, next] = [hexKey(), hexKey()]
  const { host, issue } = begin(keysOf(next, old))
  expect(await host.find(await issue(keysOf(old, next)))).toBeDefined()
  expect(await host.find(await issue(keysOf(next, old)))).toBeDefined()
  const dropped = begin(keysOf(next))
  expect(await dropped.host.find(await dropped.issue(keysOf(old, next)))).toBeUndefined()
  expect(dropped.reads()).toBe(0)
})

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

test('a forged id gets the answer of an unknown one, and counts for its address until its connection has gone', async () => {
  const { host, keys, reads } = begin()
  const ceilings = new OpeningCeilings()
  const server = net.createServer((socket) => {
    acceptOpening(socket, host, { proxyProtocol: 'off', ceilings }).catch(() => {})
  })
  closing.push(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const answers: string[] = []
  for (const workerId of [randomBytes(18).toString('base64url'), newWorkerId(EXPIRES_AT, keys, randomBytes)]) {
    const { port } = server.address() as net.AddressInfo
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    closing.push(() => socket.destroy())
    socket.write(`${workerId}\n`)
    const [answer] = await once(socket, 'data')
    answers.push(String(answer))
    expect([ceilings.total, ceilings.addresses]).toEqual([1, 1])
    socket.destroy()
    await expect.poll(() => [ceilings.total, ceilings.addresses]).toEqual([0, 0])
  }
  expect(answers).toEqual(Array(2).fill('{"ok":false,"fault":"ticket-refused"}\n'))
  expect(reads()).toBe(1)
})
