import { expect, test } from 'vitest'
import { errorLine, jsonLog, masked } from './log.ts'

test('an entry is one line of JSON with the time', () => {
  const lines: string[] = []
  const log = jsonLog({ write: (line: string) => lines.push(line) }, () => 0)
  log({ level: 'info', message: 'two\nlines', requestId: 'r', path: undefined })
  expect(lines).toEqual([
    '{"time":"1970-01-01T00:00:00.000Z","level":"info","message":"two\\nlines","requestId":"r"}\n',
  ])
})

test('what looks like a token is masked, whole or cut', () => {
  expect(masked(`/a/pst_u${'0'.repeat(36)}/pst_abc?x=pst_`)).toBe('/a/pst_[secret]/pst_[secret]?x=pst_[secret]')
  expect(masked('x'.repeat(1000))).toHaveLength(200)
})

test('an error is told with its causes, a circle of causes to an end', () => {
  const root = new TypeError('socket')
  expect(errorLine(new Error('table', { cause: root }))).toBe('Error: table ← TypeError: socket')
  root.cause = root
  expect(errorLine(root).split('←')).toHaveLength(5)
})
