import { TunnelFault } from '@postern/protocol/fault'
import { describe, expect, test } from 'vitest'
import { listed, type Outcome } from './outcome.ts'
import { Terminal } from './terminal.ts'

function printed(outcome: Outcome | TunnelFault, { json = false, color = false } = {}) {
  let [out, err] = ['', '']
  const terminal = new Terminal({
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    color: { out: color, err: color },
  })
  if (outcome instanceof TunnelFault) terminal.fault(outcome)
  else terminal.outcome(outcome, json)
  return { out, err }
}

const people = (...names: string[]) =>
  listed(
    names.map((name) => ({ name, n: 7 })),
    'nobody',
    [
      ['NAME', ({ name }) => name],
      ['N', ({ n }) => String(n)],
    ],
  )

describe('a list', () => {
  test('is a table of aligned columns, whose wide characters count twice', () => {
    expect(printed(people('ann', '日本')).out).toBe('NAME  N\nann   7\n日本  7\n')
  })

  test('that is empty says so on standard error, and nothing on standard output', () => {
    expect(printed(people())).toEqual({ out: '', err: 'tunnel-admin: nobody\n' })
  })

  test('is one JSON array of the very objects when asked for, empty or not', () => {
    expect(JSON.parse(printed(people('ann'), { json: true }).out)).toEqual([{ name: 'ann', n: 7 }])
    expect(printed(people(), { json: true })).toEqual({ out: '[]\n', err: '' })
  })
})

describe('what other people wrote', () => {
  const evil = 'a\u001b[2Jb\u009b31m\r\nc\u202ed\ttab\u{e0041}'

  test('moves no cursor and turns no text around: not in a table, a note or an error', () => {
    const texts = [
      printed(people(evil)).out,
      printed({ json: {}, shown: { kind: 'fields', fields: [['label', evil]] }, note: evil }),
      printed(new TunnelFault('not-found', evil)).err,
    ].map((text) => JSON.stringify(text).replaceAll('\\n', ''))
    for (const text of texts) {
      expect(text).not.toMatch(/\\u001b|\u009b|\\r|\u202e|\\t/)
      expect(text).toContain('u{1b}[2Jb')
    }
  })

  test('is JSON that no terminal obeys and every reader understands', () => {
    const { out } = printed({ json: { label: evil } }, { json: true })
    for (const control of ['\u001b', '\u009b', '\u202e']) expect(out).not.toContain(control)
    expect(JSON.parse(out)).toEqual({ label: evil })
  })
})

test('a line stands on standard output alone; the note goes to standard error', () => {
  expect(printed({ json: {}, shown: { kind: 'line', text: 'secret' }, note: 'made' })).toEqual({
    out: 'secret\n',
    err: 'tunnel-admin: made\n',
  })
})

test('colours are used only where they are wanted', () => {
  const fault = new TunnelFault('token-missing')
  expect(printed(fault, { color: true }).err).toContain('\u001b[31m')
  expect(printed(people('ann'), { color: true }).out).toContain('\u001b[2mNAME')
  expect(printed(fault).err + printed(people('ann')).out).not.toContain('\u001b')
})

test('an error has its advice and its code, and never a token', () => {
  const { err } = printed(new TunnelFault('usage-invalid', `unknown argument pst_a${'x'.repeat(36)}.`))
  expect(err).toBe(
    'tunnel-admin: error: The command line could not be understood. unknown argument pst_….\n  See --help. (usage-invalid)\n',
  )
})
