import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { refusedBy, serverMessages } from './channel/control-messages.ts'
import { FAULTS, type FaultCode, isFaultCode, TunnelFault, toFault } from './fault.ts'
import { CONTROL_LINE_BYTES, FAULT_DETAIL_CHARACTERS } from './limits.ts'

const CODES = Object.keys(FAULTS) as FaultCode[]

/** The sections of docs/errors.md: heading and second line. */
const SECTIONS = [
  ...readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8').matchAll(/^### `(.+)`\n(.*)\n\n(.+)/gm),
].map(([, code, facts, text]) => ({ code, facts, text }))

const factsOf = (code: FaultCode): string => {
  const { status, exit, retryable } = FAULTS[code]
  return `${status} · exit ${exit} · ${retryable ? 'retryable' : 'not retryable'}`
}

describe('docs/errors.md', () => {
  test('has one section for each code of the table, in its order, and no other', () => {
    expect(SECTIONS.map(({ code }) => code)).toEqual(CODES)
  })

  test.each(CODES)('tells status, exit code and retrying of %s as the table has them', (code) => {
    expect(SECTIONS.find((section) => section.code === code)?.facts).toBe(factsOf(code))
  })
})

describe('the table of faults', () => {
  test.each(CODES)('%s has a code of plain words, and sentences for a person', (code) => {
    const { title, advice, status } = FAULTS[code]
    expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/)
    expect(title).toMatch(/^[A-Z].+\.$/)
    expect(advice).toMatch(/^[A-Z].+\.$/)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(status).toBeLessThan(600)
  })

  test('a status of 503 or 408 asks to come again, so its fault is retryable', () => {
    const final = CODES.filter((code) => [408, 503].includes(FAULTS[code].status) && !FAULTS[code].retryable)
    expect(final).toEqual([])
  })

  test('knows its codes from other texts, those of Object among them', () => {
    expect(isFaultCode('channel-lost')).toBe(true)
    expect(isFaultCode('channel-found')).toBe(false)
    expect(isFaultCode('toString')).toBe(false)
  })
})

describe('a fault', () => {
  test('says title and detail, and takes the rest from the table', () => {
    const fault = new TunnelFault('server-busy', 'Too many.', { retryAfterMs: 50 })
    expect(fault.message).toBe(`${FAULTS['server-busy'].title} Too many.`)
    expect(fault).toMatchObject({ retryable: true, status: 503, exit: 5, retryAfterMs: 50 })
    expect(fault.advice).toBe(FAULTS['server-busy'].advice)
  })

  test('has no more detail than a control line can carry, whatever was written into it', () => {
    const fault = new TunnelFault('store-unavailable', '\u0007'.repeat(1500))
    expect(fault.detail).toHaveLength(FAULT_DETAIL_CHARACTERS)
    expect(fault.message).toHaveLength(FAULTS['store-unavailable'].title.length + 1 + FAULT_DETAIL_CHARACTERS)
    const line = Buffer.from(JSON.stringify(refusedBy(fault)))
    expect(line.length).toBeLessThanOrEqual(CONTROL_LINE_BYTES)
    expect(serverMessages.refused.parse(JSON.parse(String(line)))).toMatchObject({ detail: fault.detail })
  })

  test('is itself when it passes through toFault; anything else becomes the cause of one', () => {
    const fault = new TunnelFault('revoked')
    expect(toFault(fault, 'channel-lost')).toBe(fault)
    const error = new Error('boom')
    expect(toFault(error, 'channel-lost')).toMatchObject({ code: 'channel-lost', detail: 'boom', cause: error })
    expect(toFault('boom')).toMatchObject({ code: 'internal-error', detail: 'boom', cause: 'boom' })
  })
})
