import { expect, test } from 'vitest'
import { nodeEventOf } from './node-log.ts'

const line = (fields: object): string => JSON.stringify({ level: 30, time: 1700, task: 'task-1', ...fields })

test('SIGTERM and the end of a node are events of its log', () => {
  expect(nodeEventOf('n', line({ why: 'SIGTERM', msg: 'stopping' }))).toEqual({
    ...{ node: 'n', kind: 'sigterm', at: 1700, after: 1700 },
  })
  expect(nodeEventOf('n', line({ msg: 'stopped' }))).toEqual({ node: 'n', kind: 'stopped', at: 1700, after: 1700 })
})

test.each([
  line({ why: 'fenced', msg: 'stopping' }),
  line({ msg: 'request failed' }),
  'Error: out of memory',
  '{"event":"listening"}',
  '',
])('%s is none', (text) => {
  expect(nodeEventOf('n', text)).toBeUndefined()
})
