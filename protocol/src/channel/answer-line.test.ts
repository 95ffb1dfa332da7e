import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { TunnelFault } from '../fault.ts'
import { ANSWER_LINE_BYTES } from '../limits.ts'
import { acceptLine, refusalLine, takeAnswer } from './answer-line.ts'
import { IpNotAllowedFault } from './ip-not-allowed.ts'

interface Vector {
  title: string
  line: string
  result: { taskId?: string; fault?: string; incomplete?: true; [field: string]: unknown }
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/answer-lines.json', import.meta.url), 'utf8'),
) as Vector[]

const refusalOf = (line: string): unknown => {
  try {
    return takeAnswer(Buffer.from(line))
  } catch (error) {
    return error
  }
}

describe('an answer line', () => {
  for (const { title, line, result } of vectors)
    test(`of the vectors: ${title}`, () => {
      if (result.incomplete) return expect(takeAnswer(Buffer.from(line))).toBeUndefined()
      if (result.taskId)
        return expect(takeAnswer(Buffer.from(line))).toEqual({ bytes: line.length, value: result.taskId })
      const { fault, ...told } = result
      expect(refusalOf(line)).toMatchObject({ code: fault, ...told })
    })

  test('written by the server end is what the agent end reads', () => {
    expect(takeAnswer(Buffer.from(acceptLine('task-9')))?.value).toBe('task-9')
    for (const fault of [
      new TunnelFault('ticket-refused'),
      new TunnelFault('server-draining'),
      new TunnelFault('server-busy', undefined, { retryAfterMs: 77 }),
      new IpNotAllowedFault('2001:db8::1', 'signed'),
    ]) {
      const { code, retryAfterMs } = fault
      expect(refusalOf(refusalLine(fault) ?? '')).toMatchObject({ code, retryAfterMs })
    }
  })

  test('exists for no other fault, and tells no detail', () => {
    expect(refusalLine(new TunnelFault('opening-malformed'))).toBeUndefined()
    expect(refusalLine(new TunnelFault('internal-error'))).toBeUndefined()
    expect(refusalLine(new TunnelFault('ticket-refused', 'because it was used at noon'))).not.toContain('noon')
  })

  test('may be as long as the limit and not one byte longer', () => {
    const line = (bytes: number) => `{"ok":true,"taskId":"t"${' '.repeat(bytes - 25)}}\n`
    expect(takeAnswer(Buffer.from(line(ANSWER_LINE_BYTES)))?.value).toBe('t')
    expect(refusalOf(line(ANSWER_LINE_BYTES + 1))).toMatchObject({ code: 'opening-malformed' })
    expect(refusalOf('x'.repeat(ANSWER_LINE_BYTES))).toMatchObject({ code: 'opening-malformed' })
  })
})
