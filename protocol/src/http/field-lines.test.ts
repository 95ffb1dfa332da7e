import { expect, test } from 'vitest'
import { cleanSection } from './clean-section.ts'
import { FieldLines } from './field-lines.ts'

test('lines that are read anew keep their numbers, for which each byte of the head is read once', () => {
  const count = 900
  const text = `HTTP/1.1 200 OK\r\n${Array.from({ length: count }, (_, i) => `Field-${i} : ${'x'.repeat(200)}\n`).join('')}\r\n`
  const bytes = Buffer.from(text, 'latin1')
  const lines = new FieldLines()
  lines.most = count
  lines.buffer = bytes
  lines.scan(bytes, text.indexOf('\n') + 1, bytes.length, 'response')
  const clean = cleanSection(lines)
  let reads = 0
  lines.buffer = new Proxy(bytes, {
    get(target, key) {
      reads += 1
      return Reflect.get(target, key)
    },
  })
  lines.replaceBy(clean, 0)
  expect(reads).toBeLessThanOrEqual(bytes.length)
  expect([lines.lineOf(0), lines.lineOf(1), lines.lineOf(count - 1)]).toEqual([2, 3, count + 1])
})
