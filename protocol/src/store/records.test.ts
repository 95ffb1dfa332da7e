import { expect, test } from 'vitest'
import { nodeAuditSchema } from './records.ts'

test.each(['actor', 'target', 'ip'])('a node says no more than a page of the audit holds: %s', (field) => {
  const row = { at: 1, actor: 'ann', action: 'useTicket', target: 'demo', ip: '192.0.2.1', result: 'done' }
  expect(nodeAuditSchema.safeParse({ ...row, [field]: 'x'.repeat(256) }).success).toBe(true)
  expect(nodeAuditSchema.safeParse({ ...row, [field]: 'x'.repeat(257) }).success).toBe(false)
})
