import { TunnelFault } from '@postern/protocol/fault'
import { expect, test } from 'vitest'
import { AuditTrail } from './audit-trail.ts'

test('a used ticket is one entry: who, which name, from where', async () => {
  const added: unknown[] = []
  const newId = () => 'ulid'
  const trail = new AuditTrail({
    audit: { add: async (call) => void added.push(call) },
    clock: () => 1000,
    newId,
    lost: () => expect.unreachable(),
  })
  trail.ticketUsed({ username: 'ann', subdomain: 'demo', ip: '192.0.2.1' })
  await trail.settled()
  expect(added).toEqual([
    { actor: 'ann', action: 'useTicket', target: 'demo', ip: '192.0.2.1', result: 'done', now: 1000, newId },
  ])
})

test('an entry that cannot be written is handed to the log, and waited for at the end', async () => {
  const lost: unknown[] = []
  let fail = (_fault: TunnelFault) => {}
  const trail = new AuditTrail({
    audit: { add: () => new Promise((_resolve, reject) => (fail = reject)) },
    clock: () => 1000,
    newId: () => 'ulid',
    lost: (entry, fault) => lost.push([entry, fault.code]),
  })
  trail.ticketUsed({ username: 'ann', subdomain: 'demo', ip: '192.0.2.1' })
  const settled = trail.settled()
  fail(new TunnelFault('store-unavailable'))
  await settled
  const entry = { at: 1000, actor: 'ann', action: 'useTicket', target: 'demo', ip: '192.0.2.1', result: 'done' }
  expect(lost).toEqual([[entry, 'store-unavailable']])
})
