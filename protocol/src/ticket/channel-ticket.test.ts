import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { channelTicketSchema } from './channel-ticket.ts'
import { newWorkerId, workerIdHash } from './worker-id.ts'

const good = {
  port: 7000,
  workerId: newWorkerId(randomBytes),
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

test('an id is 144 random bits in printable ASCII, and its hash is SHA-256', () => {
  expect(newWorkerId((bytes) => new Uint8Array(bytes))).toBe('A'.repeat(24))
  expect(new Set(Array.from({ length: 100 }, () => newWorkerId(randomBytes))).size).toBe(100)
  expect(workerIdHash('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})
