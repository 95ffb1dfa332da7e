import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { channelTicketSchema } from './channel-ticket.ts'
import { newDeploymentSecret, parseDeploymentKeys } from './deployment-keys.ts'
import { newWorkerId } from './worker-id.ts'

const good = {
  port: 7000,
  workerId: newWorkerId(1_800_000_000_000, parseDeploymentKeys(newDeploymentSecret(randomBytes)), randomBytes),
  encryptionKeyText: 'ab'.repeat(32),
  host: 'channel.example.com',
  url: 'https://demo.example.com',
  expiresAt: '2027-01-15T08:00:00.000Z',
  seenIp: '2001:db8::1',
  protocol: 1,
}

test('a ticket is read, and what a later service may add is passed over', () => {
  expect(channelTicketSchema.parse({ ...good, later: true })).toEqual(good)
})

test.each([
  { port: 0 },
  { port: 65_536 },
  { port: '7000' },
  { workerId: 'short' },
  { workerId: 'x'.repeat(65) },
  { workerId: `${good.workerId}\n` },
  { workerId: 'with some spaces in it' },
  { encryptionKeyText: 'ab'.repeat(31) },
  { encryptionKeyText: 'AB'.repeat(32) },
  { encryptionKeyText: 'zz'.repeat(32) },
  { url: 'ftp://demo.example.com' },
  { url: 'javascript:alert(1)' },
  { expiresAt: 'soon' },
  { protocol: 2 },
  { host: '' },
])('a ticket with %j is none', (changes) => {
  expect(channelTicketSchema.safeParse({ ...good, ...changes }).success).toBe(false)
})
