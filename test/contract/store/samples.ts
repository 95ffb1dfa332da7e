/** Items that a test changes in the one place it is about. */
import { randomBytes } from 'node:crypto'
import type { ClaimCall, Stores, Task, Ticket, Token } from '@postern/protocol/store'

/** Each test has its own names, so that they can share a table. */
export const unique = (stem: string): string => `${stem}-${randomBytes(5).toString('hex')}`

/** Ids that sort in the order they were made, as ULIDs do. */
export function idsInOrder(): () => string {
  let last = 0
  return () => {
    last += 1
    return `01J${String(last).padStart(23, '0')}`
  }
}

export const NOW = 1_800_000_000_000

export const ticket = (changes: Partial<Ticket> = {}): Ticket => ({
  idHash: randomBytes(32).toString('hex'),
  username: 'ann',
  subdomain: 'demo',
  reservationId: '01J00000000000000000000001',
  tokenHash: 'a'.repeat(64),
  tokenExpiresAt: NOW + 86_400_000,
  issuedAt: NOW,
  allowedIps: new Set(['192.0.2.1']),
  sealedKey: '01234567.sealed',
  expiresAt: NOW + 60_000,
  ...changes,
})

export const token = (changes: Partial<Token> = {}): Omit<Token, 'tokenStatus' | 'lastUsedDay'> => ({
  tokenHash: randomBytes(32).toString('hex'),
  tokenId: unique('token'),
  username: 'ann',
  scopes: new Set(['tunnel']),
  subdomains: new Set(['*']),
  createdAt: NOW,
  expiresAt: NOW + 1000,
  label: 'laptop',
  ...changes,
})

export const claim = (changes: Partial<ClaimCall> = {}): ClaimCall => ({
  name: unique('demo'),
  slot: 0,
  reservationId: '01J00000000000000000000001',
  taskId: 'task-1',
  bootId: 'boot-1',
  connId: unique('conn'),
  instanceId: 'instance-1',
  pool: false,
  username: 'ann',
  tokenHash: 'a'.repeat(64),
  now: NOW,
  ...changes,
})

export const task = (changes: Partial<Task> = {}): Omit<Task, 'leaseUntil'> & { now: number } => ({
  taskId: unique('task'),
  bootId: 'boot-1',
  addr: '10.0.0.1:7100',
  draining: false,
  tunnels: 0,
  version: '0.1.0',
  now: NOW,
  ...changes,
})

/** A user of that quota, under a name of its own. */
export async function newUser(stores: Stores, maxSubdomains = 20): Promise<string> {
  const username = unique('user')
  await stores.users.create({ username, maxSubdomains, maxTunnels: 5, createdAt: NOW })
  return username
}

export const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
