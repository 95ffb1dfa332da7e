import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { patternsIn } from '../linear-patterns/patterns-in.ts'
import { superLinear } from '../linear-patterns/super-linear.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'postern-patterns-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs the check on one source of one package. */
function checked(source: string): { status: number | null; stderr: string } {
  mkdirSync(join(folder, 'protocol/src'), { recursive: true })
  writeFileSync(join(folder, 'protocol/src/case.ts'), source)
  const main = join(root, 'test/linear-patterns/main.ts')
  return spawnSync(process.execPath, ['--import', 'tsx', main, folder], { cwd: root, encoding: 'utf8' })
}

describe('a pattern that is not linear is refused', () => {
  test.each([
    ['a quantifier tried from each character', /[ \t]+$/],
    ['the same behind an alternative that matches nothing, in a search that goes on', /^[ \t"]*\.?|\.?[ \t"]*$/g],
    ['the same of more than one character', /^(?:ab)*|(?:ab)*$/g],
    ['the same on each line', / +$/m],
    ['two quantifiers of the same characters', /^[a-z]+[a-z0-9]*!$/],
    ['two quantifiers of more than one character', /^(?:ab)*(?:ab)*$/],
    ['a quantifier of a quantifier', /^(?:a+)+$/],
    ['alternatives of the same characters, repeated', /^(?:\w|\d)*!$/],
    ['alternatives of more than one character, repeated', /^(?:a|ab|b)*!$/],
  ])('%s', (_, pattern) => {
    expect(superLinear(pattern)).toEqual(expect.any(String))
  })
})

test('a pattern that the analysers cannot judge is refused', () => {
  expect(superLinear(/^(a+)b\1$/)).toMatch(/^not judged/)
})

test.each([/^[^/]*(?:\/[^/#]+#\d)?$/, /;[ \t]*domain[ \t]*=([^;]*)/gi, /[^\x20-\x7e]/g, /^\P{Cc}*$/u, /a{1,64}$/])(
  'the linear pattern %s is not refused',
  (pattern) => {
    expect(superLinear(pattern)).toBeUndefined()
  },
)

test('patterns are found wherever a program makes one, and nowhere else', () => {
  const source = `
    // /comment+$/
    const text = '/text+$/' + 6 / 3 / 1
    export const found = [/literal/gi, new RegExp('made', 'u'), RegExp('called'), text.match('matched'), new RegExp(text)]`
  expect(patternsIn('case.ts', source)).toEqual([
    { line: 4, pattern: { source: 'literal', flags: 'gi' } },
    { line: 4, pattern: { source: 'made', flags: 'u' } },
    { line: 4, pattern: { source: 'called', flags: '' } },
    { line: 4, pattern: { source: 'matched', flags: '' } },
    { line: 4, pattern: undefined },
  ])
})

describe('npm run check', () => {
  test('fails on a quadratic pattern and names its place', () => {
    const { status, stderr } = checked(
      'export const ok = /a/\nexport const trimmed = (text: string) => text.replace(/ +$/, "")\n',
    )
    expect(stderr).toMatch(/^protocol\/src\/case\.ts:2 \/ \+\$\/ super-linear/)
    expect(status).toBe(1)
  })

  test('fails on a pattern that is made of values', () => {
    expect(checked('export const made = (text: string) => new RegExp(text)\n').status).toBe(1)
  })

  test('passes a linear one', () => {
    expect(checked('export const linear = /^ +$/\n').status).toBe(0)
  })

  test('fails where it finds nothing to judge', () => {
    expect(checked('export const none = 1\n').status).toBe(1)
  })

  test('has this check as a part', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    expect(scripts.check).toContain('tsx test/linear-patterns/main.ts')
  })
})
